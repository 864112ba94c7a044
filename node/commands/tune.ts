import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CommandModule } from "yargs";
import { type CreateProgress, prepareRun, type PreparedRun } from "../../src/create/prepare.ts";
import { describeSkipped } from "../../src/data/skipped.ts";
import { InterruptedError, UsageError } from "../../src/errors.ts";
import { createLogger, type Level } from "../../src/log.ts";
import { openDirectory } from "../../src/peer/directory.ts";
import type { DeviceOptions } from "../../src/peer/types.ts";
import { readRunFile } from "../../src/run/run-file.ts";
import type { RunFile } from "../../src/run/types.ts";
import { bestTrial, type Trial } from "../../src/create/tune-search.ts";
import { tune } from "../../src/create/tune.ts";
import { deviceOf, type EngineFlags, engineOptions, outputOptions } from "../options.ts";
import { describeCreateProgress } from "../create-progress.ts";
import {
  createProgress,
  formatBar,
  formatCount,
  formatDuration,
  formatJson,
  formatNumber,
  type Progress,
} from "../output.ts";
import { formatRate, plotTrials } from "../plot.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";

/** Longer trials find a better rate for a long run, and take longer. */
const MOST_STEPS = 320;
/** Rates that a search around the default takes, mostly. */
const USUAL_TRIALS = 6;

interface TuneFlags extends EngineFlags {
  file: string;
  steps: number | undefined;
  rates: string | undefined;
  "log-level": Level;
  json: boolean;
}

export const command: CommandModule<object, TuneFlags> = {
  describe: "Find a learning rate for a run by short dense runs on its text",
  builder: (yargs) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "The run's YAML file" })
      .options({
        steps: {
          type: "number",
          requiresArg: true,
          describe: `Steps for each rate; by default the steps of a path, at most ${MOST_STEPS}`,
        },
        rates: {
          type: "string",
          requiresArg: true,
          describe: "Rates to try, as in 2e-3,4e-3; by default a search around the run's own rate",
        },
        ...engineOptions,
        ...outputOptions,
      })
      .example("$0 tune run.yaml", "try rates around the default, and print what to write into run.yaml")
      .example("$0 tune run.yaml --rates 2e-3,4e-3,8e-3 --steps 100", "these three, for 100 steps each"),
  async handler(flags) {
    const progress = createProgress(flags.json ? process.stderr : process.stdout);
    const shutdown = onInterrupt(() => progress.line(COMMAND_STOPS));
    const file = await readRunFile(flags.file);
    const { seedSteps, rounds, innerSteps, learningRate } = file.config.training;
    const steps = flags.steps ?? Math.min(MOST_STEPS, seedSteps + rounds * innerSteps);
    if (!Number.isInteger(steps) || steps < 2)
      throw new UsageError(`--steps is ${steps}; give a whole number of steps, such as --steps 100.`);
    const device = deviceOf(flags);
    const rates = parseRates(flags.rates);
    const trials: Trial[] = [];
    const began = performance.now();
    const directory = await mkdtemp(path.join(tmpdir(), "pathweave-tune-"));
    let interrupted: InterruptedError | undefined;
    try {
      const what = { directory, device, steps, ...(rates === undefined ? {} : { rates }) };
      const { signal } = shutdown;
      await untilInterrupted(signal, tryRates(flags, file, what, trials, progress, signal));
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error;
      // What is known by then is worth having.
      interrupted = error;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
    const complete = interrupted === undefined;
    progress.update(
      `${complete ? "done" : "stopped"} after ${formatDuration(performance.now() - began)}, with ${trials.length} ${trials.length === 1 ? "rate" : "rates"} tried`,
    );
    progress[Symbol.dispose]();
    const best = bestTrial(trials);
    if (flags.json)
      process.stdout.write(
        `${formatJson({ learningRate: best?.learningRate ?? null, steps, complete, trials })}\n`,
      );
    else
      for (const line of describeTrials(trials, { file: flags.file, steps, complete, learningRate }))
        process.stdout.write(`${line}\n`);
    if (interrupted !== undefined)
      throw new InterruptedError(interrupted.signal, "Interrupted; tune changed nothing and keeps nothing.");
  },
};

/** Fills `trials` as they end. */
async function tryRates(
  flags: TuneFlags,
  file: RunFile,
  what: { directory: string; device: DeviceOptions; steps: number; rates?: number[] },
  trials: Trial[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { directory, steps, rates } = what;
  const offline = { listen: [], announce: [], bootstrap: [], mdns: false };
  const node = await openDirectory(directory, offline, createLogger(flags["log-level"]));
  try {
    const { store } = node;
    const onProgress = (step: CreateProgress): void => progress.update(describeCreateProgress(step));
    const prepared = await prepareRun({ file, store, onProgress, signal });
    for (const line of describeSkipped(prepared.report.skipped)) progress.line(line);
    progress.line(describeWork(prepared, steps));
    onProgress({ stage: "compiling", done: 0 });
    for await (const event of tune({ prepared, store, signal, ...what })) {
      const total = rates?.length ?? Math.max(USUAL_TRIALS, trials.length + 1);
      if (event.type === "trial") {
        trials.push(event.trial);
        progress.line(describeTrial(event.trial));
        continue;
      }
      const left = (total - trials.length) * steps - event.step;
      progress.update(
        `rate ${formatRate(event.learningRate)}, ${trials.length + 1} of ${rates === undefined ? "about " : ""}${total} ` +
          `${formatBar(event.step, steps, 12)} loss ${formatNumber(event.loss)}, ` +
          `about ${formatDuration(left * event.milliseconds)} left`,
      );
    }
  } finally {
    await node.stop();
  }
}

function describeWork({ report, config }: PreparedRun, steps: number): string {
  const { batchSize } = config.training;
  const { sequenceLength } = config.model;
  return (
    `dense runs of ${steps} steps × ${batchSize} sequences of ${sequenceLength} tokens, ` +
    `out of ${formatCount(report.counts.train.tokens)} tokens`
  );
}

function describeTrial({ learningRate, loss, steps }: Trial): string {
  const rate = formatRate(learningRate);
  if (loss === undefined) return `rate ${rate}: training diverged at step ${steps}`;
  return `rate ${rate}: held-out loss ${formatNumber(loss)}, perplexity ${formatNumber(Math.exp(loss), 1)}`;
}

/** The plot and what to write into the run file. */
export function describeTrials(
  trials: readonly Trial[],
  run: { file: string; steps: number; complete: boolean; learningRate: number },
): string[] {
  const best = bestTrial(trials);
  if (trials.length === 0) return ["Stopped before the first rate was done."];
  const lines = [
    "",
    `Held-out loss by learning rate, after ${run.steps} steps:`,
    "",
    ...plotTrials(trials),
    "",
  ];
  if (!run.complete) lines.push("Stopped before trying all rates; an untried one may be better.");
  if (best === undefined) return [...lines, "Training diverged at every rate. Try lower ones with --rates."];
  const rates = trials.map(({ learningRate }) => learningRate);
  if (rates.length > 1 && [Math.min(...rates), Math.max(...rates)].includes(best.learningRate))
    lines.push(
      `The best rate is the ${best.learningRate === Math.max(...rates) ? "highest" : "lowest"} of those tried; one beyond it may be better.`,
    );
  if (best.learningRate === run.learningRate)
    return [...lines, `${run.file} has the best rate already, ${formatRate(best.learningRate)}.`];
  if (!rates.includes(run.learningRate))
    lines.push("tune did not try the run's own rate, which may be better; add it to --rates.");
  return [
    ...lines,
    `For ${run.file}, whose rate is ${formatRate(run.learningRate)}, below its line training:`,
    "",
    `  learningRate: ${formatRate(best.learningRate)}`,
  ];
}

/** The value of `--rates`. Throws UsageError. */
function parseRates(text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const rates = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (rates.every((rate) => rate > 0 && rate < Infinity)) return [...new Set(rates)];
  throw new UsageError(`--rates is "${text}"; give positive numbers, such as --rates 2e-3,4e-3.`);
}
