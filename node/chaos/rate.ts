/** What faults cost: the rate of outer updates of one swarm, in turns without faults and with them (contract e). */
import { setTimeout as delay } from "node:timers/promises";
import type { LoggedEvent } from "./event-log.ts";
import { type ChaosRunInit, prepare } from "./run.ts";
import { schedule } from "./schedule.ts";
import { startChaos } from "./session.ts";

/** As people's machines fail: for a while, not for a moment. */
const MEAN_FAULT_MS = 20_000;
/** Before the first phase, so that all peers take part. */
const WARM_UP_MS = 20_000;

export interface RateInit extends Omit<ChaosRunInit, "faults"> {
  /** Length of one phase, ms. Phases come in pairs, without and with faults. */
  phaseMs: number;
  pairs: number;
}

export interface Rate {
  /** Outer updates (versions, over all modules) per minute. */
  quietPerMinute: number;
  faultyPerMinute: number;
  /** The second over the first. */
  updateRateRatio: number;
  faults: number;
}

export async function measureRate(init: RateInit): Promise<Rate> {
  const { seed, rate, signal, phaseMs } = init;
  await prepare(init);
  const session = await startChaos(init);
  const { swarm, log } = session;
  try {
    await Promise.all(swarm.peers.map((peer) => peer.ready));
    await delay(WARM_UP_MS, undefined, { signal });
    const peers = swarm.peers.map(({ name }) => name);
    const plan = schedule({ seed, rate, peers, meanMs: MEAN_FAULT_MS });
    const quiet: number[] = [];
    const faulty: number[] = [];
    let faults = 0;
    for (let pair = 0; pair < init.pairs; pair++) {
      const start = log.now();
      await delay(phaseMs, undefined, { signal });
      const turn = log.now();
      faults += await session.inject(plan, AbortSignal.any([signal, AbortSignal.timeout(phaseMs)]));
      signal.throwIfAborted();
      quiet.push(updatesPerMinute(log.events, start, turn));
      // Until the last fault is healed, which may be a little later: what it delays is its doing.
      faulty.push(updatesPerMinute(log.events, turn, log.now()));
    }
    const [quietPerMinute, faultyPerMinute] = [mean(quiet), mean(faulty)];
    return { quietPerMinute, faultyPerMinute, updateRateRatio: faultyPerMinute / quietPerMinute, faults };
  } finally {
    await session.stop();
  }
}

/** Versions that became a head for the first time in a stretch of the log, per minute. */
export function updatesPerMinute(events: readonly LoggedEvent[], from: number, to: number): number {
  const first = new Map<string, number>();
  for (const entry of events)
    if ("event" in entry && entry.event.type === "head" && !first.has(entry.event.cid))
      first.set(entry.event.cid, entry.at);
  const count = [...first.values()].filter((at) => at >= from && at < to).length;
  return (60_000 * count) / (to - from);
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
