/** How far a run is, and how long it still takes, by what its peers compute. Pure. */

/** A run as one peer or observer sees it. A slot is a path and replica; its rounds follow one another. */
export interface RunView {
  /** Rounds of each slot that are not done; a round under way counts by what is left of it. */
  roundsLeft: readonly number[];
  tokensPerRound: number;
  /** Speeds of the live workers, tokens/s; 0 where none is measured yet. */
  tokensPerSecond: readonly number[];
  /** Rounds that were seen to end, of all slots together, and in what time: this includes all waiting. */
  pace?: { rounds: number; milliseconds: number };
}

export type TimeLeft =
  | { state: "done" }
  | { state: "unknown"; reason: string }
  /** An estimate. */
  | { state: "left"; seconds: number };

/** So many rounds tell more of the swarm than the speeds of its peers. */
const ENOUGH_ROUNDS = 4;

/**
 * The time until every round is done: at the pace that was seen, else at the speeds of the workers. No more workers
 * compute at once than there are slots, and no slot is faster than the fastest of them.
 */
export function timeLeft({ roundsLeft, tokensPerRound, tokensPerSecond, pace }: RunView): TimeLeft {
  const open = roundsLeft.filter((rounds) => rounds > 0);
  const rounds = open.reduce((sum, left) => sum + left, 0);
  if (rounds === 0) return { state: "done" };
  if (tokensPerSecond.length === 0) return { state: "unknown", reason: "nobody trains" };
  if (pace !== undefined && pace.rounds >= Math.max(ENOUGH_ROUNDS, roundsLeft.length))
    return { state: "left", seconds: (rounds * pace.milliseconds) / pace.rounds / 1000 };
  const measured = tokensPerSecond.filter((speed) => speed > 0).toSorted((a, b) => b - a);
  if (measured.length === 0) return { state: "unknown", reason: "nobody has finished a round yet" };
  // A new peer counts as an average one.
  const median = measured[measured.length >> 1]!;
  const speeds = tokensPerSecond.map((speed) => speed || median).toSorted((a, b) => b - a);
  const together = speeds.slice(0, open.length).reduce((sum, speed) => sum + speed, 0);
  const seconds = Math.max(
    (rounds * tokensPerRound) / together,
    (Math.max(...open) * tokensPerRound) / speeds[0]!,
  );
  return { state: "left", seconds };
}
