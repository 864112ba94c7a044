/**
 * Fuzzes every decoder of bytes from the network or a disk (`test/fuzz/targets.ts`), in a process of its own that is
 * short of memory and is watched: an input that takes the processor longer than two seconds, never ends, or takes more memory than there is, counts too.
 *
 *     npm run fuzz -- --inputs 10000000 --seed 1 [--target manifest] [--folder fuzz-findings]
 *     npm run fuzz -- --replay fuzz-findings/manifest.1.123.bin
 *
 * What was found lies in the folder, one file an input, named by target, seed and number. Exit code 1 when there is any.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createProgress, formatBytes, formatDuration, formatTable } from "../node/output.ts";
import { fuzz, inputOf, type Outcome, tryInput } from "../test/fuzz/fuzz.ts";
import { TARGETS } from "../test/fuzz/targets.ts";
import type { Target } from "../test/fuzz/targets/target.ts";

/** Inputs of one message between the two processes, unless a target has fewer. */
const BATCH = 500;
const INPUT_MS = 30_000;
/** Processor time of one input that is a finding. */
const SLOW_MS = 2_000;
/** A batch that takes this long is tried again input by input. */
const BATCH_MS = 120_000;
const HEAP_MIB = 256;

const { values: options } = parseArgs({
  options: {
    inputs: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    target: { type: "string" },
    folder: { type: "string", default: "fuzz-findings" },
    replay: { type: "string" },
  },
});
const seed = Number(options.seed);

interface Task {
  target: number;
  from: number;
  to: number;
}

const fileOf = ({ name }: Target): string => name.replaceAll(/\W/g, "-");

/** The process that decodes: one task, one answer. */
function serve(): void {
  process.on("message", ({ target, from, to }: Task) => {
    void fuzz(TARGETS[target]!, seed, from, to, SLOW_MS).then((outcome) => process.send!(outcome));
  });
  process.send!("ready");
}

/** Decodes in another process, which is started anew after it was lost. */
function createDecoder() {
  let running: { child: ChildProcess; exit: Promise<string> } | undefined;
  const start = async (): Promise<{ child: ChildProcess; exit: Promise<string> }> => {
    const child = fork(fileURLToPath(import.meta.url), ["--seed", String(seed)], {
      execArgv: [`--max-old-space-size=${HEAP_MIB}`],
      env: { ...process.env, PATHWEAVE_FUZZ_CHILD: "1" },
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const exit = once(child, "exit").then(([code, name]) => `the process ended with ${String(code ?? name)}`);
    // Loading the decoders is not the first input's time.
    await Promise.race([once(child, "message"), exit]);
    return { child, exit };
  };
  return {
    /** What came of a task, or why nothing did: the process ended or did not answer in time. */
    async run(task: Task, milliseconds: number): Promise<Outcome | string> {
      running ??= await start();
      const { child, exit } = running;
      const done = new AbortController();
      const answer = once(child, "message", { signal: done.signal }).then(([outcome]) => outcome as Outcome);
      answer.catch(() => {});
      const late = delay(milliseconds, `it took longer than ${milliseconds / 1000} s`, {
        signal: done.signal,
      });
      late.catch(() => {});
      child.send(task);
      const outcome = await Promise.race([answer, exit, late]);
      done.abort();
      if (typeof outcome === "string") {
        child.kill("SIGKILL");
        await exit;
        running = undefined;
      }
      return outcome;
    },
    stop: () => running?.child.kill(),
  };
}

interface Total extends Omit<Outcome, "findings"> {
  target: Target;
  findings: number;
}

async function main(): Promise<void> {
  const began = performance.now();
  const chosen = TARGETS.filter(({ name }) => options.target === undefined || name === options.target);
  if (chosen.length === 0)
    throw new Error(`No target is named ${options.target}: ${TARGETS.map(({ name }) => name).join(", ")}`);
  const weights = chosen.reduce((sum, { weight }) => sum + weight, 0);
  const budget = Number(options.inputs);
  const totals = chosen.map((target): Total => ({
    target,
    inputs: 0,
    accepted: 0,
    milliseconds: 0,
    growth: 0,
    findings: 0,
  }));
  const decoder = createDecoder();
  const progress = createProgress(process.stderr);
  let done = 0;

  const report = (target: Target, index: number, problem: string): void => {
    mkdirSync(options.folder, { recursive: true });
    const file = join(options.folder, `${fileOf(target)}.${seed}.${index}.bin`);
    writeFileSync(file, inputOf(target, seed, index));
    progress.line(`${file}: ${problem.split("\n").slice(0, 3).join(" ")}`);
  };

  async function attempt(total: Total, from: number, to: number): Promise<void> {
    const { target } = total;
    const single = to - from === 1;
    const answer = await decoder.run(
      { target: TARGETS.indexOf(target), from, to },
      single ? INPUT_MS : BATCH_MS,
    );
    if (typeof answer !== "string") {
      total.inputs += answer.inputs;
      total.accepted += answer.accepted;
      total.milliseconds = Math.max(total.milliseconds, answer.milliseconds);
      total.growth = Math.max(total.growth, answer.growth);
      total.findings += answer.findings.length;
      for (const { index, problem } of answer.findings) report(target, index, problem);
    } else if (single) {
      total.inputs++;
      total.findings++;
      report(target, from, answer);
    } else {
      const middle = from + Math.ceil((to - from) / 2);
      await attempt(total, from, middle);
      await attempt(total, middle, to);
    }
  }

  // Round by round, so that every target has had its share whenever this is ended.
  const shares = totals.map(({ target }) => Math.ceil((budget * target.weight) / weights));
  const rounds = Math.max(...shares.map((share) => Math.ceil(share / BATCH)));
  for (let round = 0; round < rounds; round++)
    for (const [index, total] of totals.entries()) {
      const share = shares[index]!;
      const from = Math.floor((share * round) / rounds);
      const to = Math.floor((share * (round + 1)) / rounds);
      if (from === to) continue;
      await attempt(total, from, to);
      done += to - from;
      const left = ((performance.now() - began) / done) * (budget - done);
      const found = totals.reduce((sum, { findings }) => sum + findings, 0);
      progress.update(
        `${done} of ${budget} inputs, ${found} findings, ${formatDuration(Math.max(0, left))} left`,
      );
    }
  decoder.stop();
  progress[Symbol.dispose]();

  const rows = totals.map(({ target, inputs, accepted, milliseconds, growth, findings }) => [
    target.name,
    String(inputs),
    String(accepted),
    milliseconds.toFixed(1),
    formatBytes(growth),
    String(findings),
  ]);
  const header = ["decoder", "inputs", "accepted", "slowest, ms", "memory", "findings"];
  process.stdout.write(`${formatTable(header, rows).join("\n")}\n`);
  const seconds = (performance.now() - began) / 1000;
  process.stdout.write(`${done} inputs of seed ${seed} in ${formatDuration(1000 * seconds)}\n`);
  if (totals.some(({ findings }) => findings > 0)) process.exitCode = 1;
}

/** Tries one kept input again, in this process, where a debugger can be had. */
async function replay(file: string): Promise<void> {
  const target = TARGETS.find((candidate) => basename(file).startsWith(`${fileOf(candidate)}.`));
  if (target === undefined) throw new Error(`${file} does not start with the name of a target.`);
  const { accepted, problem } = await tryInput(target, readFileSync(file));
  process.stdout.write(`${target.name}: ${problem ?? (accepted ? "accepted" : "refused as documented")}\n`);
  if (problem !== undefined) process.exitCode = 1;
}

if (process.env["PATHWEAVE_FUZZ_CHILD"] === "1") serve();
else if (options.replay === undefined) await main();
else await replay(options.replay);
