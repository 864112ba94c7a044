import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { CommandModule } from "yargs";
import { stringify } from "yaml";
import { createRun, type CreatedRun } from "../../src/create.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { CorpusError } from "../../src/errors.ts";
import { evaluateRun, pathParameters, perplexity, type RunEvaluation } from "../../src/evaluate.ts";
import { generate } from "../../src/generate.ts";
import { createLogger, type Level } from "../../src/log.ts";
import { openDirectory, type Peer } from "../../src/peer.ts";
import { encodeInvite } from "../../src/run/invite.ts";
import { readRunFile } from "../../src/run/run-file.ts";
import { writeInvite } from "../../src/store/invite-file.ts";
import { type Baseline, type BaselineName, baselineOf, trainBaseline } from "../demo-baselines.ts";
import { demoCorpus } from "../demo-corpus.ts";
import { demoRun } from "../demo-run.ts";
import { type Chaos, parseChaos, schedule } from "../chaos/schedule.ts";
import { type ChaosSession, startChaos } from "../chaos/session.ts";
import { type LocalSwarm, startLocalSwarm, STOP_MS } from "../local-swarm.ts";
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
  "equal-tokens": boolean;
  "log-level": Level;
  json: boolean;
}

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
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
        "equal-tokens": {
          type: "boolean",
          default: false,
          describe: "Also train a dense model on as many tokens as all paths together, which takes longer",
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
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(flags.json ? process.stderr : process.stdout);
    const directory = flags.data ?? (await mkdtemp(path.join(tmpdir(), "pathweave-demo-")));
    await mkdir(directory, { recursive: true });
    try {
      // Its peers say goodbye, too.
      const result = await untilInterrupted(
        shutdown.signal,
        runDemo(flags, directory, progress, shutdown.signal),
        STOP_MS,
      );
      progress[Symbol.dispose]();
      if (flags.json) process.stdout.write(`${formatJson(result)}\n`);
    } finally {
      if (flags.data === undefined) await rm(directory, { recursive: true, force: true });
    }
  },
};

interface Scores {
  seed: number;
  /** For as many steps as a path has. */
  dense: number;
  /** For as many steps as all paths have together, with `--equal-tokens`. */
  denseEqualTokens?: number;
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
  const names: BaselineName[] = flags["equal-tokens"] ? ["equalSteps", "equalTokens"] : ["equalSteps"];
  const baselines = new Map(names.map((name) => [name, baselineOf(name, created.manifest)]));
  const dense: Partial<Record<BaselineName, Float32Array>> = {};
  for (const [name, baseline] of baselines)
    dense[name] = await stage(name === "equalSteps" ? "dense" : "denseEqualTokens", () =>
      trainBaseline(baseline, created, DEVICE, progress, signal),
    );

  const init = { directory, peers: flags.peers, run: created.run, logLevel: flags["log-level"], signal };
  const session =
    flags.chaos === undefined ? undefined : await startChaos({ ...init, manifest: created.manifest });
  const swarm = session?.swarm ?? (await startLocalSwarm(init));
  const stop = (): Promise<void> => (session ?? swarm).stop();
  try {
    const faults = await stage("swarm", async () => {
      showSwarm(swarm, created, progress);
      if (session !== undefined) return strikeSwarm(session, flags.chaos!, progress, signal);
      await swarm.complete(signal);
      return 0;
    });
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
        evaluation: await stage("evaluate", () => {
          const show = (done: number, total: number): void =>
            progress.update(`evaluating ${formatBar(done, total)}`);
          return evaluateRun(peer, DEVICE, dense, show, signal);
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
      ...(evaluation.others["equalTokens"] === undefined
        ? {}
        : { denseEqualTokens: perplexity(evaluation.others["equalTokens"]) }),
      dipaco: perplexity(evaluation.dipaco),
    };
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    for (const line of report(created, baselines, evaluation, scores, samples)) progress.line(line);
    progress.line(
      `${counted(
        heads.reduce((sum, head) => sum + head.generation, 0),
        "outer update",
      )}; heads agree: ${headsAgree ? "yes" : "NO"}; ` +
        `lineage folds again to the same CIDs: ${lineageVerified ? "yes" : "NO"}; ` +
        `${formatBytes(bytesUp)} sent and ${formatBytes(bytesDown)} received by ${counted(flags.peers, "peer")}`,
    );
    progress.update(`done in ${formatDuration(1000 * seconds)}`);
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
  const kinds = demoCorpus(PROJECT);
  const missing = kinds.filter(({ patterns }) => patterns.length === 0).map(({ kind }) => kind);
  if (missing.length > 0)
    throw new CorpusError(
      `The demo's text comes with the development packages, and there is none for: ${missing.join(", ")}. Run npm ci in ${PROJECT}.`,
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

/** Shows the swarm at work whenever something happens. */
function showSwarm(swarm: LocalSwarm, created: CreatedRun, progress: Progress): void {
  const { config } = created.manifest;
  const { rounds, innerSteps } = config.training;
  const paths = created.manifest.shards.length;
  const began = performance.now();
  const show = (): void => {
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
  const router = await peer.router();
  const engine = await createEngine({ shape: peer.shape, batchSize: 1, ...DEVICE });
  const samples: Sample[] = [];
  try {
    const seedParameters = await pathParameters(peer, 0, signal, "genesis");
    for (let index = 0; index < validation.documents && samples.length < peer.topology.paths; index++) {
      const prompt = validation.document(index).slice(0, prefixTokens);
      if (prompt.length < prefixTokens) continue;
      const tokens = new Int32Array(peer.shape.sequenceLength).fill(validation.endOfText);
      tokens.set(prompt);
      const features = await engine.features(seedParameters, tokens, Int32Array.of(prompt.length));
      const path = router.rank(features)[0]!;
      if (samples.some((sample) => sample.path === path)) continue;
      const ids: number[] = [];
      const options = {
        sequenceLength: peer.shape.sequenceLength,
        tokens: 40,
        temperature: 0.7,
        endOfText: validation.endOfText,
        seed,
      };
      for await (const id of generate(engine, await pathParameters(peer, path, signal), prompt, options)) {
        ids.push(id);
        progress.update(`path ${path} writes: ${tokenizer.decode(ids)}`);
      }
      samples.push({ path, prompt: tokenizer.decode(prompt), text: tokenizer.decode(ids) });
    }
  } finally {
    await engine.close();
  }
  return samples.toSorted((a, b) => a.path - b.path);
}

function report(
  created: CreatedRun,
  baselines: ReadonlyMap<BaselineName, Baseline>,
  evaluation: RunEvaluation,
  scores: Scores,
  samples: Sample[],
): string[] {
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
  const inRounds = rounds * innerSteps;
  const all = seedSteps + paths * inRounds;
  const lines = formatTable(
    ["model", "steps per path", "tokens", "rate", "held-out perplexity"],
    [
      ...[...baselines].map(([key, { name, steps, learningRate: rate }]) =>
        row(name, steps, steps, rate, perplexity(evaluation.others[key]!)),
      ),
      row("warm start of DiPaCo", seedSteps, seedSteps, learningRate, scores.seed),
      row(`DiPaCo, ${counted(paths, "path")}`, seedSteps + inRounds, all, learningRate, scores.dipaco),
    ],
  );
  lines.push("", "Each model has the learning rate that is best for it (docs/log.md).");
  if (!baselines.has("equalTokens"))
    lines.push(`--equal-tokens adds a dense model of as many tokens as all paths, ${all} steps.`);
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
