/** How far a run is, for `status` and `join`. */
import { slotKey } from "../src/plan/slots.ts";
import type { Slot } from "../src/plan/types.ts";
import type { Peer } from "../src/peer/types.ts";
import { knownLeases } from "../src/swarm/messages.ts";
import { type RunView, type TimeLeft, timeLeft } from "../src/swarm/plan/time-left.ts";
import { counted, formatDuration } from "./output.ts";

/** What this peer itself does, which no heartbeat tells it. */
export interface OwnWork {
  /** Undefined before the first. */
  slot?: Slot;
  /** Share of it that is done. */
  progress: number;
  tokensPerSecond: number;
}

export interface RunProgress {
  /** Rounds of all paths and replicas. */
  rounds: { done: number; total: number };
  left: TimeLeft;
}

export function runProgressOf(peer: Peer, now: number, own?: OwnWork, pace?: RunView["pace"]): RunProgress {
  const { swarm, sizes } = peer;
  const { plan } = swarm;
  const workers = swarm.coordinator.membership
    .live(now)
    .filter(({ heartbeat }) => heartbeat.role === "worker");
  const underWay = new Map<string, number>();
  for (const lease of workers.flatMap(({ heartbeat }) => knownLeases(heartbeat)))
    underWay.set(slotKey(lease), lease.progress);
  if (own?.slot !== undefined) underWay.set(slotKey(own.slot), own.progress);

  const roundsLeft: number[] = [];
  let [done, total] = [0, 0];
  for (const lane of plan.lanes) {
    const lineage = swarm.lineage(lane.modules[0]!);
    let left = 0;
    for (let slot: Slot | undefined = plan.first(lane); slot !== undefined; slot = plan.after(slot)) {
      total++;
      if (lineage.completed(slot)) done++;
      else left += 1 - Math.min(1, underWay.get(slotKey(slot)) ?? 0);
    }
    roundsLeft.push(left);
  }
  const left = timeLeft({
    roundsLeft,
    tokensPerRound: sizes.tokensPerRound,
    tokensPerSecond: [
      ...workers.map(({ heartbeat }) => heartbeat.tokensPerSecond),
      ...(own === undefined ? [] : [own.tokensPerSecond]),
    ],
    ...(pace === undefined ? {} : { pace }),
  });
  return { rounds: { done, total }, left };
}

/** Seconds for programs: 0 when nothing is left, null when that cannot be told. */
export function secondsLeft(left: TimeLeft): number | null {
  if (left.state === "unknown") return null;
  return left.state === "done" ? 0 : Math.round(left.seconds);
}

/** `12 of 24 rounds done, about 3 min 20 s left` */
export function describeProgress({ rounds, left }: RunProgress): string {
  const done = `${rounds.done} of ${counted(rounds.total, "round")} done`;
  switch (left.state) {
    case "done":
      return done;
    case "unknown":
      return `${done}, time left unknown: ${left.reason}`;
    case "left":
      return `${done}, about ${formatDuration(1000 * left.seconds)} left`;
  }
}

/** Measures how many rounds of a run end in what time, over the last while. */
export class Pace {
  readonly #samples: { at: number; done: number }[] = [];

  /** The pace since the oldest sample of the last ten minutes. */
  note(done: number, now: number): RunView["pace"] {
    this.#samples.push({ at: now, done });
    while (this.#samples[0]!.at < now - 600_000) this.#samples.shift();
    const [first] = this.#samples;
    return { rounds: done - first!.done, milliseconds: now - first!.at };
  }
}
