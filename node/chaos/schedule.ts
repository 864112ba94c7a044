/** Which faults happen when: a pure function of the seed. */
import { UsageError } from "../../src/errors.ts";
import { createRandom, type Random } from "../../src/random.ts";

/** What can happen to a swarm. All but `blackout` and `partition` strike one peer. */
export const FAULTS = ["kill", "pause", "partition", "slow", "stop", "wipe", "blackout"] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface Fault {
  kind: FaultKind;
  /** Milliseconds after the fault before. */
  after: number;
  /** How long it lasts, ms. */
  lasts: number;
  /** All peers in the order in which they are struck: the first that is up, or for a partition the first half. */
  order: string[];
  /** For a partition. */
  mode: "drop" | "reset";
}

/** How often a kind comes among all faults. */
const WEIGHTS: Record<FaultKind, number> = {
  kill: 5,
  pause: 4,
  partition: 5,
  slow: 3,
  stop: 2,
  wipe: 3,
  blackout: 1,
};

export interface Chaos {
  seed: number;
  /** Faults per hour, over the whole swarm. */
  rate: number;
}

export interface ScheduleInit extends Chaos {
  peers: string[];
  /** Mean length of a fault, ms. */
  meanMs: number;
  /** How many faults; without end when absent. */
  count?: number;
}

/** Faults come as a Poisson process, and last an exponential time between a fifth and three times the mean. */
export function* schedule(init: ScheduleInit): Generator<Fault, void> {
  const { seed, rate, peers, meanMs, count = Number.POSITIVE_INFINITY } = init;
  const random = createRandom(seed, "chaos");
  const exponential = (mean: number): number => -mean * Math.log(1 - random.uniform());
  for (let made = 0; made < count; made++)
    yield {
      kind: pick(random),
      after: exponential(3_600_000 / rate),
      lasts: Math.min(3 * meanMs, Math.max(meanMs / 5, exponential(meanMs))),
      order: random.shuffle([...peers]),
      mode: random.uniform() < 0.5 ? "drop" : "reset",
    };
}

function pick(random: Random): FaultKind {
  let at = random.uniform() * Object.values(WEIGHTS).reduce((a, b) => a + b, 0);
  return FAULTS.find((kind) => (at -= WEIGHTS[kind]) < 0)!;
}

/** Reads `seed=7,rate=60/h`; the default is seed 0 and 60 faults an hour. Throws UsageError. */
export function parseChaos(text: string): Chaos {
  const chaos: Chaos = { seed: 0, rate: 60 };
  for (const part of text.split(",").filter((word) => word !== "")) {
    const [, key, number] = /^(seed|rate)=(\d+(?:\.\d+)?)(?:\/h)?$/.exec(part.trim()) ?? [];
    if (key === undefined || (key === "seed" && part.includes(".")))
      throw new UsageError(`--chaos: cannot read "${part}". Write it as in seed=7,rate=60/h.`);
    chaos[key as keyof Chaos] = Number(number);
  }
  if (!(chaos.rate > 0)) throw new UsageError("--chaos: the rate must be above 0 faults an hour.");
  return chaos;
}
