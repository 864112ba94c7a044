import { TICK_MS } from "../../src/swarm/plan/leases.ts";
import type { LoggedEvent } from "./event-log.ts";

/** A claim that was started, by the log's clock. */
interface Settled {
  from: number;
  to: number;
  /** How many times as long as it may it took. */
  stretch: number;
}

/** How much longer than they may the clocks of the peers take: all over the run, and while something lasts. At least 1. */
export interface Yardstick {
  /** The median over the run. */
  usual: number;
  /** The largest of the claims that were under way at some moment between, and no less than the usual one. */
  between(from: number, to: number): number;
}

/**
 * Measures time by the clocks that let leases expire: a lease is started at the first tick that is a settle time after
 * its claim, on a machine that does other work as on one that does none. Claims of peers that a fault holds meanwhile
 * tell nothing. Pure.
 */
export function yardstick(events: readonly LoggedEvent[], settleMs: number): Yardstick {
  const claimed = new Map<string, number>();
  const settled: Settled[] = [];
  for (const entry of events) {
    if ("fault" in entry) {
      for (const key of claimed.keys())
        if (entry.fault.peers.includes(key.split(" ")[0]!)) claimed.delete(key);
      continue;
    }
    if (entry.event.type !== "lease") continue;
    const { state, round, path, replica } = entry.event;
    const key = `${entry.peer} ${round}/${path}/${replica}`;
    const from = claimed.get(key);
    if (state === "claimed") claimed.set(key, entry.at);
    else claimed.delete(key);
    if (state === "started" && from !== undefined)
      settled.push({ from, to: entry.at, stretch: (entry.at - from) / (settleMs + TICK_MS) });
  }
  const sorted = settled.map(({ stretch }) => stretch).toSorted((a, b) => a - b);
  const usual = Math.max(1, sorted[sorted.length >> 1] ?? 1);
  return {
    usual,
    between: (from, to) =>
      Math.max(
        usual,
        ...settled.filter((one) => one.from <= to && one.to >= from).map(({ stretch }) => stretch),
      ),
  };
}
