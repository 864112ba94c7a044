/**
 * Whole swarms of the production code under virtual clocks, seed by seed, with faults of every kind and an intruder, each
 * judged by the auditor and the checks of `src/sim/world/checks`.
 *
 *     npm run simulate -- --seeds 1-1000 [--workers 2] [--json]
 *     npm run simulate -- --seed 7 --trace
 *     npm run simulate -- --seeds 1-300 --first --twice
 *     npm run simulate -- --stops --seed 1 [--stride 10] [--at 1234 --trace]
 *
 * `--first` ends with the first seed that breaks something. `--twice` lives each seed twice, and the two have to be the
 * same to the last byte. With `--poor-disks` some machines have a slow disk, and some may store little. `--stops` lives a
 * short run of two peers once for every operation, or every so manieth, and cuts off the power of the peer that does it.
 *
 * The trace has one line an event: seconds of simulated time, machine, what happened. Exit code 1 when an invariant does
 * not hold; each seed that breaks one is printed with the command that repeats it. The last line of `--json` is the sum.
 */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { letSignalsGo } from "../src/sim/world/abort-signals.ts";
import { parseSeeds, summarise } from "../src/sim/world/campaign.ts";
import type { Watched } from "./simulate/watchdog.ts";
import { countOperations, stopAt } from "../src/sim/world/stops.ts";
import { liveTwice } from "../src/sim/world/twice.ts";
import type { Outcome } from "../src/sim/world/types.ts";
import { live } from "../src/sim/world/world.ts";

/** Processor time, many times what a seed takes. */
const MOST_SECONDS = 180;

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "1-100" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    workers: { type: "string", default: String(availableParallelism()) },
    json: { type: "boolean", default: false },
    first: { type: "boolean", default: false },
    twice: { type: "boolean", default: false },
    "poor-disks": { type: "boolean", default: false },
    stops: { type: "boolean", default: false },
    stride: { type: "string", default: "1" },
    at: { type: "string" },
    worker: { type: "boolean", default: false },
  },
});
/** What kind of life a seed has. */
const KIND = ["twice", "poor-disks"] as const;
const kind = KIND.filter((flag) => options[flag]).map((flag) => `--${flag}`);
const lives = (seed: number, trace?: (line: string) => void): Promise<Outcome> =>
  (options.twice ? liveTwice : live)({
    seed,
    poorDisks: options["poor-disks"],
    ...(trace === undefined ? {} : { trace }),
  });
const say = (line: string): void => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);

function repeat(seed: number): string {
  return `npm run simulate -- ${["--seed", seed, ...kind, "--trace"].join(" ")}`;
}

/** What a worker tells of a seed. */
interface Told {
  outcome: Outcome;
  /** Processor time that it took. */
  seconds: number;
}

/**
 * Starts workers and deals the seeds out; hears of each outcome as it comes, and of each seed in which a worker ended.
 * Both say whether to go on.
 */
async function deal(
  seeds: readonly number[],
  hear: { told(told: Told): boolean; ended(seed: number, how: string): boolean },
): Promise<void> {
  const left = [...seeds];
  const work = async (): Promise<void> => {
    let child = startWorker();
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      const answer = await ask(child, seed);
      const goesOn = typeof answer === "string" ? hear.ended(seed, answer) : hear.told(answer);
      if (!goesOn) left.length = 0;
      if (typeof answer === "string") child = startWorker();
    }
    child.kill();
  };
  await Promise.all(Array.from({ length: Math.min(Number(options.workers), seeds.length) }, work));
}

function startWorker(): ChildProcess {
  return fork(fileURLToPath(import.meta.url), ["--worker", ...kind]);
}

/** Resolves to what came of a seed, or to how the worker ended in it. */
function ask(child: ChildProcess, seed: number): Promise<Told | string> {
  return new Promise((resolve) => {
    const gone = (code: number | null, signal: string | null): void => {
      child.off("message", told);
      resolve(signal === null ? `code ${code}` : signal);
    };
    const told = (message: unknown): void => {
      child.off("exit", gone);
      resolve(message as Told);
    };
    child.once("exit", gone);
    child.once("message", told);
    child.send(seed);
  });
}

/** Lives the seeds that it is sent, one after the other. */
function beWorker(): void {
  const living = new Int32Array(new SharedArrayBuffer(4));
  const workerData: Watched = { seed: living, mostSeconds: MOST_SECONDS };
  void new Worker(new URL("./simulate/watchdog.ts", import.meta.url), { workerData });
  process.on("message", (message) => {
    const seed = Number(message);
    const began = process.cpuUsage();
    Atomics.store(living, 0, seed);
    void lives(seed).then((outcome) => {
      Atomics.store(living, 0, 0);
      const { user, system } = process.cpuUsage(began);
      process.send!({ outcome, seconds: (user + system) / 1e6 } satisfies Told);
    });
  });
}

async function campaign(): Promise<void> {
  const seeds = parseSeeds(options.seeds);
  const began = performance.now();
  const outcomes: Outcome[] = [];
  /** Seeds in which a worker ended. */
  const ended: string[] = [];
  let processor = 0;
  const report = (seed: number, problems: readonly string[]): boolean => {
    const goesOn = !options.first || problems.length === 0;
    for (const problem of problems) say(`seed ${seed}: ${problem}`);
    if (problems.length > 0) say(`  again: ${repeat(seed)}`);
    const done = outcomes.length + ended.length;
    if (done % 10 !== 0 && done !== seeds.length) return goesOn;
    const seconds = (performance.now() - began) / 1000;
    const eta = (seconds / done) * (seeds.length - done);
    say(
      `${done} of ${seeds.length} seeds in ${seconds.toFixed(0)} s, ${(processor / done).toFixed(1)} s of processor time ` +
        `each, ${eta.toFixed(0)} s to go`,
    );
    const { unreached } = summarise(outcomes);
    if (unreached.length > 0) say(`  not reached yet: ${unreached.join(", ")}`);
    return goesOn;
  };
  await deal(seeds, {
    told({ outcome, seconds }) {
      processor += seconds;
      outcomes.push(outcome);
      return report(outcome.seed, outcome.broken);
    },
    ended(seed, how) {
      const problem = `progress: the world did not end, its process did (${how})`;
      ended.push(`seed ${seed}: ${problem}`);
      return report(seed, [problem]);
    },
  });
  const sum = summarise(outcomes);
  sum.broken.push(...ended);
  if (options.json) process.stdout.write(`${JSON.stringify(sum)}\n`);
  else say(JSON.stringify(sum, undefined, 2));
  if (sum.broken.length > 0) process.exitCode = 1;
}

/** Stops a peer at one operation after the other. */
async function stopEverywhere(seed: number): Promise<void> {
  const operations = await countOperations(seed);
  const began = performance.now();
  let [points, broken] = [0, 0];
  for (let at = 0; at < operations; at += Number(options.stride)) {
    const { operation, outcome } = await stopAt(at, { seed });
    points++;
    if (outcome.broken.length > 0) broken++;
    for (const problem of outcome.broken) say(`stopped ${operation}: ${problem}`);
    if (outcome.broken.length > 0)
      say(`  again: npm run simulate -- --stops --seed ${seed} --at ${at} --trace`);
    if (points % 100 === 0) say(`${at + 1} of ${operations} operations in ${seconds(began)} s`);
  }
  say(`${operations} operations, stopped at ${points} of them, ${broken} broken, ${seconds(began)} s`);
  if (broken > 0) process.exitCode = 1;
}

function seconds(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(0);
}

letSignalsGo();
if (options.worker) beWorker();
else if (options.stops && options.at === undefined) await stopEverywhere(Number(options.seed ?? 1));
else if (options.stops) {
  const trace = options.trace ? { trace: say } : {};
  const { operation, outcome } = await stopAt(Number(options.at), {
    seed: Number(options.seed ?? 1),
    ...trace,
  });
  say(`stopped ${operation}: ${JSON.stringify(outcome)}`);
  if (outcome.broken.length > 0) process.exitCode = 1;
} else if (options.seed === undefined) await campaign();
else {
  const seed = Number(options.seed);
  const outcome = await lives(seed, options.trace ? say : undefined);
  say(JSON.stringify(outcome));
  if (outcome.broken.length > 0) process.exitCode = 1;
}
