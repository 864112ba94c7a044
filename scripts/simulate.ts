/**
 * Whole swarms of the production code under virtual clocks, seed by seed, with faults of every kind and an intruder, each
 * judged by the auditor and the checks of `src/sim/world/checks`.
 *
 *     npm run simulate -- --seeds 1-1000 [--workers 2] [--json]
 *     npm run simulate -- --seed 7 --trace
 *     npm run simulate -- --seeds 1-300 --first --twice
 *     npm run simulate -- --stops --seed 1 [--stride 10] [--at 1234 --trace]
 *
 * `--first` ends with the first seed that breaks something; `--twice` lives each seed twice, and the two have to be the
 * same to the last byte. With `--poor-disks` some machines have a slow disk, and some may store little. `--stops` lives a short run of two peers once for every operation, or every so manieth, and cuts
 * off the power of the peer that does it.
 *
 * The trace has one line an event: seconds of simulated time, machine, what happened. Exit code 1 when an invariant does
 * not hold; each seed that breaks one is printed with the command that repeats it. The last line of `--json` is the sum.
 */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { live } from "../src/sim/world/world.ts";
import { countOperations, stopAt } from "../src/sim/world/stops.ts";
import { liveTwice } from "../src/sim/world/twice.ts";
import { parseSeeds, summarise } from "../src/sim/world/campaign.ts";
import type { Outcome } from "../src/sim/world/types.ts";

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
const lives = (seed: number, trace?: (line: string) => void): Promise<Outcome> =>
  (options.twice ? liveTwice : live)({
    seed,
    poorDisks: options["poor-disks"],
    ...(trace === undefined ? {} : { trace }),
  });
const say = (line: string): void => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);

function repeat(seed: number): string {
  const flags = KIND.filter((flag) => options[flag]).map((flag) => ` --${flag}`);
  return `npm run simulate -- --seed ${seed}${flags.join("")} --trace`;
}

/** Starts workers and deals the seeds out; hears of each outcome as it comes, and says whether to go on. */
async function deal(seeds: readonly number[], hear: (outcome: Outcome) => boolean): Promise<void> {
  const left = [...seeds];
  const work = async (): Promise<void> => {
    const child = fork(fileURLToPath(import.meta.url), [
      "--worker",
      ...KIND.filter((flag) => options[flag]).map((flag) => `--${flag}`),
    ]);
    try {
      for (let seed = left.shift(); seed !== undefined; seed = left.shift())
        if (!hear(await ask(child, seed))) left.length = 0;
    } finally {
      child.kill();
    }
  };
  await Promise.all(Array.from({ length: Math.min(Number(options.workers), seeds.length) }, work));
}

function ask(child: ChildProcess, seed: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null): void =>
      reject(new Error(`a worker ended with code ${code} in seed ${seed}: ${repeat(seed)}`));
    child.once("exit", gone);
    child.once("message", (outcome) => {
      child.off("exit", gone);
      resolve(outcome as Outcome);
    });
    child.send(seed);
  });
}

async function campaign(): Promise<void> {
  const seeds = parseSeeds(options.seeds);
  const began = performance.now();
  const outcomes: Outcome[] = [];
  await deal(seeds, (outcome) => {
    outcomes.push(outcome);
    const { seed, broken } = outcome;
    for (const problem of broken) say(`seed ${seed}: ${problem}`);
    if (broken.length > 0) say(`  again: ${repeat(seed)}`);
    const seconds = (performance.now() - began) / 1000;
    const eta = (seconds / outcomes.length) * (seeds.length - outcomes.length);
    if (outcomes.length % 10 === 0 || outcomes.length === seeds.length)
      say(
        `${outcomes.length} of ${seeds.length} seeds in ${seconds.toFixed(0)} s, ${eta.toFixed(0)} s to go`,
      );
    return !options.first || broken.length === 0;
  });
  const sum = summarise(outcomes);
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

if (options.worker)
  process.on("message", (seed) => void lives(Number(seed)).then((outcome) => process.send!(outcome)));
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
