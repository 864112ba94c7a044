import { TICK_MS } from "../../src/swarm/plan/leases.ts";
import type { LoggedEvent } from "./event-log.ts";

/**
 * How much longer than they may the clocks of the peers took in a run, in the median: a lease is started at the first tick
 * that is a settle time after its claim, by the clock that also lets leases expire. At least 1. Pure.
 */
export function settleStretch(events: readonly LoggedEvent[], settleMs: number): number {
  const claimed = new Map<string, number>();
  const stretches: number[] = [];
  for (const entry of events) {
    if (!("event" in entry) || entry.event.type !== "lease") continue;
    const { state, round, path, replica } = entry.event;
    const key = `${entry.peer} ${round}/${path}/${replica}`;
    const since = claimed.get(key);
    if (state === "claimed") claimed.set(key, entry.at);
    else claimed.delete(key);
    if (state === "started" && since !== undefined) stretches.push((entry.at - since) / (settleMs + TICK_MS));
  }
  const sorted = stretches.toSorted((a, b) => a - b);
  return Math.max(1, sorted[sorted.length >> 1] ?? 1);
}
