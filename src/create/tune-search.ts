/** Which learning rate to try next: a geometric grid that grows until it encloses the best, then halves around it. */

/** One dense run with one learning rate. */
export interface Trial {
  learningRate: number;
  /** Steps done: fewer than asked for when training diverged. */
  steps: number;
  /** Held-out nats per token; undefined when training diverged. */
  loss: number | undefined;
}

const FACTOR = 2;
/** Two rates that are closer than this make no difference that a short run can tell. */
const FINE = 1.6;
const MOST_TRIALS = 12;

/** The trial with the lowest held-out loss; undefined when all diverged. */
export function bestTrial(trials: readonly Trial[]): Trial | undefined {
  const lossOf = ({ loss }: Trial): number => loss ?? Infinity;
  const best = trials.toSorted((a, b) => lossOf(a) - lossOf(b))[0];
  return best?.loss === undefined ? undefined : best;
}

/** The next rate, the first as it is and others in two digits, as in a run file; undefined when the search is over. */
export function nextRate(start: number, trials: readonly Trial[]): number | undefined {
  if (trials.length >= MOST_TRIALS) return undefined;
  const tried = trials.map(({ learningRate }) => learningRate).toSorted((a, b) => a - b);
  const first = [start, round(start * FACTOR), round(start / FACTOR)];
  const missing = first.find((rate) => !tried.includes(rate));
  if (missing !== undefined) return missing;
  // What diverges says that the best rate is lower.
  const at = tried.indexOf(bestTrial(trials)?.learningRate ?? tried[0]!);
  const best = tried[at]!;
  const [below, above] = [tried[at - 1], tried[at + 1]];
  if (below === undefined) return round(best / FACTOR);
  if (above === undefined) return round(best * FACTOR);
  if (above / best > FINE) return round(Math.sqrt(best * above));
  return best / below > FINE ? round(Math.sqrt(best * below)) : undefined;
}

function round(rate: number): number {
  return Number(rate.toPrecision(2));
}
