import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CommandModule } from "yargs";
import { stringify } from "yaml";
import { createRun, type CreatedRun } from "../../src/create/create.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { CorpusError, InterruptedError, UsageError } from "../../src/errors.ts";
import { evaluateRun, perplexity, type RunEvaluation } from "../../src/use/evaluate.ts";
import { generate } from "../../src/use/generate.ts";
import { packageFolders } from "../../src/installation.ts";
import { pathweaveCommand } from "../../src/invocation.ts";
import { createLogger, type Level } from "../../src/log.ts";
import { modelOfPeer, pathParameters, routeDocuments, seedParameters } from "../../src/use/path-model.ts";
import { openDirectory } from "../../src/peer/directory.ts";
import type { Peer } from "../../src/peer/types.ts";
import { encodeInvite } from "../../src/run/invite.ts";
import { readRunFile } from "../../src/run/run-file.ts";
import { writeInvite } from "../../src/store/invite-file.ts";
import { storageError } from "../../src/store/storage-error.ts";
import { type BaselineName, baselineOf, createBaselines, type Training } from "../demo-baselines.ts";
import { demoCorpus } from "../demo-corpus.ts";
import { demoRun } from "../demo-run.ts";
import { type Chaos, parseChaos, schedule } from "../chaos/schedule.ts";
import { type ChaosSession, startChaos } from "../chaos/session.ts";
import { type LocalSwarm, startLocalSwarm, STOP_MS } from "../local-swarm.ts";
import { nextSteps } from "../next-steps.ts";
import { observe } from "../observe.ts";
import { outputOptions } from "../options.ts";
import {
  counted,
  createProgress,
  formatBar,
  formatBytes,
  formatDuration,
  formatJson,
  formatNumber,
  formatTable,
  type Progress,
} from "../output.ts";
import { formatRate } from "../plot.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";
import { describeProgress } from "./create.ts";

interface DemoFlags {
  peers: number;
  seed: number;
  data: string | undefined;
  chaos: Chaos | undefined;
  "log-level": Level;
  json: boolean;
}

/** How long a fault of `--chaos` lasts on average. */
const MEAN_FAULT_MS = 10_000;
const DEVICE = { kind: "compiled", device: "cpu" } as const;

export const command: CommandModule<object, DemoFlags> = {
  describe: "Train a small model with a whole swarm on this machine",
  builder: (yargs) =>
    yargs
      .options({
        peers: { type: "number", default: 4, requiresArg: true, describe: "Peer processes" },
        seed: {
          type: "number",
          default: 0,
          requiresArg: true,
          describe: "Fixes data split, initial weights and routing",
        },
        data: {
          type: "string",
          requiresArg: true,
          describe: "Keep all peers' folders here; a temporary folder otherwise",
        },
        chaos: {
          type: "string",
          requiresArg: true,
          coerce: (text: string | undefined) => (text === undefined ? undefined : parseChaos(text)),
          describe: "Kill, pause, part, slow and wipe peers meanwhile, as in seed=7,rate=60/h",
        },
        ...outputOptions,
      })
      .example(
        "$0 demo --chaos seed=7,rate=240/h",
        "the same while a fault strikes every quarter of a minute",
      )
      .example("$0 demo", "a 2×2 DiPaCo on four kinds of text, in a few minutes")
      .example("$0 demo --seed 1 --json", "end with one line of JSON"),
  async handler(flags) {
    if (!(Number.isInteger(flags.peers) && flags.peers >= 1))
      throw new UsageError("--peers takes a whole number from 1, such as 4.");
    if (flags.data !== undefined) await makeEmpty(flags.data);
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(flags.json ? process.stderr : process.stdout);
    const directory = flags.data ?? (await mkdtemp(path.join(tmpdir(), "pathweave-demo-")));
    try {
      // Its peers say goodbye, too.
      const result = await untilInterrupted(
        shutdown.signal,
        runDemo(flags, directory, progress, shutdown.signal),
        STOP_MS,
      );
      progress[Symbol.dispose]();
      if (flags.json) process.stdout.write(`${formatJson(result)}\n`);
    } catch (error) {
      progress[Symbol.dispose]();
      if (error instanceof InterruptedError && flags.data !== undefined)
        throw new InterruptedError(
          error.signal,
          `Interrupted. What the demo made so far stays in ${flags.data}; delete that folder before you start again with it.`,
        );
      throw error;
    } finally {
      if (flags.data === undefined) await rm(directory, { recursive: true, force: true });
    }
  },
};

/** The demo writes a run file and the folders of its peers. Throws UsageError unless there is room for them. */
async function makeEmpty(data: string): Promise<void> {
  try {
    await mkdir(data, { recursive: true });
    if ((await readdir(data)).length === 0) return;
  } catch (error) {
    throw storageError(error, data);
  }
  throw new UsageError(
    `${data} is not empty, and the demo overwrites nothing. Give --data a folder that is new or empty.`,
  );
}

/** How the model can be used afterwards. */
export function afterwards(data: string | undefined): string[] {
  if (data !== undefined) return nextSteps(path.join(data, "peer-1"), { peersRun: false });
  return [
    `The model is gone with the demo. To keep it for generate and export: ${pathweaveCommand("demo --data ./demo")}`,
  ];
}

interface Scores {
  seed: number;
  /** For as many steps as a path has. */
  dense: number;
  /** For as many steps as all paths have together. */
  denseEqualTokens: number;
  dipaco: number;
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

async function runDemo(
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
          const trained = (key: BaselineName) => () => finish(training, key, progress);
          const others = { equalSteps: trained("equalSteps"), equalTokens: trained("equalTokens") };
          return evaluateRun(peer, { ...DEVICE, threads: 1 }, others, show, signal);
        }),
        samples: await stage("generate", () => generateLines(peer, flags.seed, progress, signal)),
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

async function createDemoRun(
  flags: DemoFlags,
  directory: string,
  first: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<CreatedRun> {
  const kinds = demoCorpus(packageFolders());
  const missing = kinds.filter(({ patterns }) => patterns.length === 0).map(({ kind }) => kind);
  if (missing.length > 0)
    throw new CorpusError(
      `The demo's text comes with the packages, and there is none for: ${missing.join(", ")}. Install Pathweave again, or run npm ci in a checkout.`,
    );
  const runFile = path.join(directory, "run.yaml");
  await writeFile(
    runFile,
    stringify({ ...demoRun(flags.seed), corpus: kinds.flatMap(({ patterns }) => patterns) }),
  );
  const file = await readRunFile(runFile);
  const node = await openDirectory(
    first,
    { listen: [], announce: [], bootstrap: [], mdns: false },
    createLogger(flags["log-level"]),
  );
  try {
    const created = await createRun({
      file,
      creator: node.network.peerId,
      store: node.store,
      packs: node.packs,
      device: DEVICE,
      onProgress: (step) => progress.update(describeProgress(step)),
      signal,
    });
    await writeInvite(first, encodeInvite({ run: created.run, bootstrap: [] }));
    progress.line(
      `run ${created.run}: ${kinds.map(({ kind }) => kind).join(", ")}; shards of ` +
        `${created.manifest.shards.map((shard) => `${Math.round(shard.tokens / 1000)}k`).join(", ")} tokens`,
    );
    return created;
  } finally {
    await node.stop();
  }
}

/** Shows the swarm at work whenever something happens, until the function that it returns is called. */
function showSwarm(swarm: LocalSwarm, created: CreatedRun, progress: Progress): () => void {
  const { config } = created.manifest;
  const { rounds, innerSteps } = config.training;
  const paths = created.manifest.shards.length;
  const began = performance.now();
  let isShown = true;
  const show = (): void => {
    if (!isShown) return;
    const rows = Array.from({ length: paths }, (_, index) => {
      const { done, loss } = swarm.pathProgress(index, innerSteps);
      return `path ${index} ${formatBar(done, rounds * innerSteps, 12)} ${formatNumber(loss, 2)}`;
    });
    const total = rows.length * rounds * innerSteps;
    const done = Array.from(
      { length: paths },
      (_, index) => swarm.pathProgress(index, innerSteps).done,
    ).reduce((a, b) => a + b, 0);
    const elapsed = performance.now() - began;
    const eta = done > 0 ? `, about ${formatDuration((elapsed / done) * (total - done))} left` : "";
    const generations = swarm.generations();
    progress.update(`${rows.join(" | ")} | ${counted(generations, "outer update")}${eta}`);
  };
  swarm.onEvent(show);
  show();
  return () => {
    isShown = false;
  };
}

/** What is left of the training of a baseline once the swarm is done. */
async function finish(training: Training, key: BaselineName, progress: Progress): Promise<Float32Array> {
  const show = (): void => {
    const bars = training.progress().map(({ name, done, steps }) => `${name} ${formatBar(done, steps, 12)}`);
    if (bars.length > 0) progress.update(bars.join(" | "));
  };
  const timer = setInterval(show, 500);
  try {
    return await training.trained(key);
  } finally {
    clearInterval(timer);
  }
}

/** Lets faults happen until the run is complete; resolves to how many there were. */
async function strikeSwarm(
  session: ChaosSession,
  chaos: Chaos,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const { swarm } = session;
  await Promise.all(swarm.peers.map((peer) => peer.ready));
  const peers = swarm.peers.map(({ name }) => name);
  const plan = schedule({ ...chaos, peers, meanMs: MEAN_FAULT_MS });
  return session.injectUntilComplete(plan, signal, (kind, struck) =>
    progress.line(`fault: ${kind} of ${struck.join(", ")}`),
  );
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

interface Sample {
  path: number;
  prompt: string;
  text: string;
}

/** Lets every path continue the start of a held-out document that the router sends to it. */
async function generateLines(
  peer: Peer,
  seed: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<Sample[]> {
  const tokenizer = await peer.tokenizer();
  const validation = await peer.shard(peer.manifest.validation);
  const { prefixTokens } = peer.manifest.config.routing;
  const { endOfText } = validation;
  const model = modelOfPeer(peer);
  const prompts = Array.from({ length: validation.documents }, (_, index) =>
    validation.document(index).slice(0, prefixTokens),
  ).filter((prompt) => prompt.length === prefixTokens);
  const engine = await createEngine({ shape: peer.shape, batchSize: 1, ...DEVICE });
  const samples: Sample[] = [];
  try {
    let index = 0;
    for await (const path of routeDocuments(prompts, {
      router: await peer.router(),
      seed: await seedParameters(model, signal),
      shape: peer.shape,
      device: DEVICE,
      endOfText,
      batchSize: 1,
    })) {
      const prompt = prompts[index++]!;
      if (samples.some((sample) => sample.path === path)) continue;
      const ids: number[] = [];
      const options = {
        sequenceLength: peer.shape.sequenceLength,
        tokens: 40,
        temperature: 0.7,
        topP: 1,
        endOfText,
        seed,
      };
      for await (const id of generate(engine, await pathParameters(model, path, signal), prompt, options)) {
        ids.push(id);
        progress.update(`path ${path} writes: ${tokenizer.decode(ids)}`);
      }
      samples.push({ path, prompt: tokenizer.decode(prompt), text: tokenizer.decode(ids) });
      if (samples.length === peer.topology.paths) break;
    }
  } finally {
    await engine.close();
  }
  return samples.toSorted((a, b) => a.path - b.path);
}

function report(created: CreatedRun, evaluation: RunEvaluation, scores: Scores, samples: Sample[]): string[] {
  const { seedSteps, rounds, innerSteps, batchSize, learningRate } = created.manifest.config.training;
  const { sequenceLength } = created.manifest.config.model;
  const paths = created.manifest.shards.length;
  const row = (name: string, steps: number, stepsInAll: number, rate: number, score: number): string[] => [
    name,
    String(steps),
    `${((stepsInAll * batchSize * sequenceLength) / 1e6).toFixed(2)} M`,
    formatRate(rate),
    score.toFixed(2),
  ];
  const dense = (key: BaselineName, score: number): string[] => {
    const { name, steps, learningRate: rate } = baselineOf(key, created.manifest);
    return row(name, steps, steps, rate, score);
  };
  const inRounds = rounds * innerSteps;
  const all = seedSteps + paths * inRounds;
  const lines = formatTable(
    ["model", "steps per path", "tokens", "rate", "held-out perplexity"],
    [
      dense("equalSteps", scores.dense),
      dense("equalTokens", scores.denseEqualTokens),
      row("warm start of DiPaCo", seedSteps, seedSteps, learningRate, scores.seed),
      row(`DiPaCo, ${counted(paths, "path")}`, seedSteps + inRounds, all, learningRate, scores.dipaco),
    ],
  );
  lines.push("", "The learning rates are from a sweep (docs/log.md).");
  const byPath = formatTable(
    ["path", "held-out documents", "warm start", "DiPaCo"],
    evaluation.paths.map((path, index) => [
      String(index),
      String(path.documents),
      path.documents === 0 ? "-" : perplexity(path.seed).toFixed(2),
      path.documents === 0 ? "-" : perplexity(path.dipaco).toFixed(2),
    ]),
  );
  const written = samples.map(({ path, prompt, text }) => `path ${path}: ${prompt.slice(-60)} >>> ${text}`);
  return ["", ...lines, "", ...byPath, "", ...written, ""];
}
