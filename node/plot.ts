/** The plot of `pathweave tune`. */
import type { Trial } from "../src/create/tune-search.ts";
import { bestTrial } from "../src/create/tune-search.ts";
import { formatNumber } from "./output.ts";

/** Columns in which the losses are drawn; with the numbers before them a line has 80 at most. */
const COLUMNS = 48;
/** A loss further above the best is drawn at the edge, or it would push all others together. */
const RANGE = 1.5;

/** A learning rate as people write it: `3.7e-3`. */
export function formatRate(rate: number): string {
  const [digits, exponent] = rate.toExponential().split("e") as [string, string];
  return `${digits}e${Number(exponent)}`;
}

/** A line for each rate, in ascending order, with its loss as a mark on an axis from the least to the greatest. */
export function plotTrials(trials: readonly Trial[]): string[] {
  const best = bestTrial(trials);
  const losses = trials.flatMap(({ loss }) => loss ?? []);
  const least = Math.min(...losses);
  const span = Math.min(Math.max(...losses) - least, RANGE);
  const rows = trials.toSorted((a, b) => a.learningRate - b.learningRate);
  const width = Math.max(...rows.map(({ learningRate }) => formatRate(learningRate).length));
  return rows.map((trial) => {
    const rate = formatRate(trial.learningRate).padStart(width);
    if (trial.loss === undefined) return `${rate}  diverged at step ${trial.steps}`;
    const share = span > 0 ? Math.min(1, (trial.loss - least) / span) : 0;
    const dots = " ".repeat(Math.round(share * (COLUMNS - 1)));
    return `${rate}  ${formatNumber(trial.loss).padStart(6)} |${dots}o${trial === best ? "  best" : ""}`;
  });
}
