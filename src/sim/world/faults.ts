/** What goes wrong in a world, when and to whom: decided by the seed before anything happens. */
import type { Random } from "../../random.ts";

/** Faults of one machine, and of the network. */
export const FAULTS = [
  /** The process ends at once. */
  "kill",
  /** The machine loses its power, and its disk what was not flushed. */
  "power",
  /** The process is told to end, and is started again. */
  "restart",
  /** The process stands still, its clocks go on. */
  "pause",
  /** The whole machine sleeps. */
  "suspend",
  "partition",
  /** All links of a machine have a high latency and a low speed. */
  "slow",
  /** All links of the network lose, double and reorder. */
  "lossy",
  /** The disk is lost. */
  "wipe",
  /** The disk is full. */
  "full",
  /** A bit on the disk flips. */
  "flip",
  /** The wall clock is set forward or back. */
  "clock",
  /** The data folder is replaced by an older copy of it. */
  "rollback",
  /** A second machine is started on a copy of the data folder, the key included. */
  "clone",
  /** Who speaks another version of the protocol comes and works on the run, too. */
  "stranger",
] as const;
export type FaultKind = (typeof FAULTS)[number];

export interface Fault {
  /** Simulated time of its beginning and its end, in ms; for a fault of an instant both are one. */
  at: number;
  until: number;
  kind: FaultKind;
  /** Numbers of the machines it strikes: one, or those of one side of a partition. */
  machines: number[];
  /** Of a clock that is set: by how many ms. */
  by: number;
}

export interface ScheduleInit {
  random: Random;
  machines: number;
  /** No fault begins or lasts beyond. */
  endMs: number;
}

const INSTANT: ReadonlySet<FaultKind> = new Set(["flip", "clock"]);
const DAY_MS = 86_400_000;

/** How long a fault lasts, ms; `chance` is from 0 to 1. Half of the partitions last until the sides have forgotten each other and got on alone. */
function lengthOf(kind: FaultKind, chance: number): number {
  if (kind !== "partition") return 1000 * 3 ** (5 * chance);
  return chance < 0.5 ? 1000 * 3 ** (10 * chance) : 90_000 + 240_000 * (chance - 0.5);
}

export function scheduleFaults({ random, machines, endMs }: ScheduleInit): Fault[] {
  const faults: Fault[] = [];
  const count = 4 + random.integer(7);
  for (let i = 0; i < count; i++) {
    const kind = FAULTS[random.integer(FAULTS.length)]!;
    const at = 20_000 + random.uniform() * (endMs - 20_000);
    const length = INSTANT.has(kind) ? 0 : lengthOf(kind, random.uniform());
    const all = random.shuffle(Array.from({ length: machines }, (_, machine) => machine));
    const struck = kind === "partition" ? 1 + random.integer(machines - 1) : 1;
    const far = random.uniform() < 0.3 ? 30 * DAY_MS : 120_000;
    const by = Math.round((random.uniform() < 0.5 ? -1 : 1) * far * random.uniform());
    faults.push({ at, until: Math.min(at + length, endMs), kind, machines: all.slice(0, struck), by });
  }
  return faults.toSorted((a, b) => a.at - b.at);
}
