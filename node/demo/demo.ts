/** The demo: makes a run, trains it with a swarm of processes, and holds the model against dense networks. */
import path from "node:path";
import type { Level } from "../../src/log.ts";
import type { Peer } from "../../src/peer/types.ts";
import { evaluateRun, perplexity } from "../../src/use/evaluate.ts";
import type { Chaos } from "../chaos/schedule.ts";
import { startChaos } from "../chaos/session.ts";
import { startLocalSwarm } from "../local-swarm.ts";
import { observe } from "../observe.ts";
import { counted, formatBar, formatBytes, formatDuration, type Progress } from "../output.ts";
import { type BaselineName, createBaselines, finishBaseline } from "./baselines.ts";
import { createDemoRun } from "./create.ts";
import { afterwards, report, type Scores } from "./report.ts";
import { DEMO_DEVICE } from "./run.ts";
import { writeSamples } from "./samples.ts";
import { showSwarm, strikeSwarm } from "./watch.ts";

export interface DemoFlags {
  peers: number;
  seed: number;
  data: string | undefined;
  chaos: Chaos | undefined;
  "log-level": Level;
  json: boolean;
}

/** What `demo --json` ends with. */
interface DemoResult {
  seconds: number;
  peers: number;
  paths: number;
  rounds: number;
  /** Generation of every module's head. */
  generations: Record<string, number>;
  /** Faults that `--chaos` made. */
  faults: number;
  /** Whether all peers and an observer have the same heads. */
  headsAgree: boolean;
  /** Whether folding every generation of every module again, from blocks, gives the same CIDs. */
  lineageVerified: boolean;
  perplexity: Scores;
  bytesUp: number;
  bytesDown: number;
  /** Seconds by stage. */
  stages: Record<string, number>;
}

/** Runs the demo in `directory`, and shows what it does and what came of it. */
export async function runDemo(
  flags: DemoFlags,
  directory: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<DemoResult> {
  const began = performance.now();
  const stages: Record<string, number> = {};
  const stage = async <T>(name: string, task: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const value = await task();
    stages[name] = Math.round((performance.now() - start) / 100) / 10;
    return value;
  };

  const first = path.join(directory, "peer-1");
  const created = await stage("create", () => createDemoRun(flags, directory, first, progress, signal));

  const init = { directory, peers: flags.peers, run: created.run, logLevel: flags["log-level"], signal };
  const session =
    flags.chaos === undefined ? undefined : await startChaos({ ...init, manifest: created.manifest });
  const swarm = session?.swarm ?? (await startLocalSwarm(init));
  const training = createBaselines(created, signal);
  // The longer one beside the swarm, whose peers wait for each other now and then.
  training.start("equalTokens");
  const stop = async (): Promise<void> => {
    await Promise.all([training.stop(), (session ?? swarm).stop()]);
  };
  try {
    const faults = await stage("swarm", async () => {
      const hide = showSwarm(swarm, created, progress);
      try {
        if (session !== undefined) return await strikeSwarm(session, flags.chaos!, progress, signal);
        await swarm.complete(signal);
        return 0;
      } finally {
        hide();
      }
    });
    training.start("equalSteps");
    progress.update("joining as an observer, with nothing but the invite");
    const invite = {
      invite: swarm.invite,
      data: "",
      bootstrap: [],
      mdns: false,
      "log-level": flags["log-level"],
    };
    const seen = await observe(invite, signal, async (peer) => {
      const heads = peer.swarm.heads();
      return {
        heads,
        headsAgree: heads.every(({ module, cid }) =>
          swarm.peers.every((other) => other.heads.get(module) === cid),
        ),
        lineageVerified: await stage("audit", () => auditAll(peer, progress)),
        // The heads first; meanwhile the baselines train on.
        evaluation: await stage("evaluate", () => {
          const show = (done: number, total: number): void =>
            progress.update(`evaluating ${formatBar(done, total)}`);
          const trained = (key: BaselineName) => () => finishBaseline(training, key, progress);
          const others = { equalSteps: trained("equalSteps"), equalTokens: trained("equalTokens") };
          return evaluateRun(peer, { ...DEMO_DEVICE, threads: 1 }, others, show, signal);
        }),
        samples: await stage("generate", () => writeSamples(peer, flags.seed, progress, signal)),
      };
    });
    progress.update("stopping the peers");
    await stop();
    const { bytesUp, bytesDown } = swarm.transferred();

    const { heads, headsAgree, lineageVerified, evaluation, samples } = seen;
    const scores = {
      seed: perplexity(evaluation.seed),
      dense: perplexity(evaluation.others["equalSteps"]!),
      denseEqualTokens: perplexity(evaluation.others["equalTokens"]!),
      dipaco: perplexity(evaluation.dipaco),
    };
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    for (const line of report(created, evaluation, scores, samples)) progress.line(line);
    progress.line(
      `${counted(
        heads.reduce((sum, head) => sum + head.generation, 0),
        "outer update",
      )}; heads agree: ${headsAgree ? "yes" : "NO"}; ` +
        `lineage folds again to the same CIDs: ${lineageVerified ? "yes" : "NO"}; ` +
        `${formatBytes(bytesUp)} sent and ${formatBytes(bytesDown)} received by ${counted(flags.peers, "peer")}`,
    );
    progress.line(`done in ${formatDuration(1000 * seconds)}`);
    for (const line of afterwards(flags.data)) progress.line(line);
    progress.update(undefined);
    return {
      seconds,
      peers: flags.peers,
      paths: created.manifest.shards.length,
      rounds: created.manifest.config.training.rounds,
      generations: Object.fromEntries(heads.map(({ module, generation }) => [module, generation])),
      faults,
      headsAgree,
      lineageVerified,
      perplexity: scores,
      bytesUp,
      bytesDown,
      stages,
    };
  } finally {
    await stop();
  }
}

async function auditAll(peer: Peer, progress: Progress): Promise<boolean> {
  for (const { name } of peer.topology.modules) {
    const wrong = await peer.swarm.audit(name, ({ generation }) =>
      progress.update(`folding the lineage again: ${name} generation ${generation}`),
    );
    if (wrong === undefined) continue;
    progress.line(
      `${name}: generation ${wrong.generation} (${wrong.cid}) does not follow from its contributions`,
    );
    return false;
  }
  return true;
}
