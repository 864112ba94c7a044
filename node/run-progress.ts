/** How far a run is, for `status` and `join`. */
import type { Peer } from "../src/peer.ts";
import { type RunView, type TimeLeft, timeLeft } from "../src/swarm/plan/time-left.ts";
import { counted, formatDuration } from "./output.ts";

/** What this peer itself does, which no heartbeat tells it. */
export interface OwnWork {
  path: number;
  replica: number;
  /** Share of the round that is done. */
  progress: number;
  tokensPerSecond: number;
}

export interface RunProgress {
  /** Rounds of all paths and replicas. */
  rounds: { done: number; total: number };
  left: TimeLeft;
}

export function runProgressOf(peer: Peer, now: number, own?: OwnWork, pace?: RunView["pace"]): RunProgress {
  const { manifest, topology, swarm, sizes } = peer;
  const { rounds } = manifest.config.training;
  const workers = swarm.coordinator.membership
    .live(now)
    .filter(({ heartbeat }) => heartbeat.role === "worker");
  const underWay = new Map<string, number>();
  const leases = [
    ...workers.flatMap(({ heartbeat }) => heartbeat.leases),
    ...(own === undefined ? [] : [own]),
  ];
  for (const { path, replica, progress } of leases) underWay.set(`${path}/${replica}`, progress);

  const roundsLeft: number[] = [];
  let done = 0;
  for (let path = 0; path < topology.paths; path++) {
    const lineage = swarm.lineage(topology.modulesOfPath(path)[0]!);
    for (let replica = 0; replica < topology.replicas; replica++) {
      let finished = 0;
      for (let round = 0; round < rounds; round++) if (lineage.completed(round, path, replica)) finished++;
      done += finished;
      const partly = Math.min(1, underWay.get(`${path}/${replica}`) ?? 0);
      roundsLeft.push(finished === rounds ? 0 : rounds - finished - partly);
    }
  }
  const left = timeLeft({
    // The last round may be done and wait to be announced.
    roundsLeft: roundsLeft.map((value) => Math.max(value, 0)),
    tokensPerRound: sizes.tokensPerRound,
    tokensPerSecond: [
      ...workers.map(({ heartbeat }) => heartbeat.tokensPerSecond),
      ...(own === undefined ? [] : [own.tokensPerSecond]),
    ],
    ...(pace === undefined ? {} : { pace }),
  });
  return { rounds: { done, total: rounds * roundsLeft.length }, left };
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
