/** One seed of chaos: a whole swarm that trains a small run to its end while faults strike it. */
import { cp, mkdir } from "node:fs/promises";
import path from "node:path";
import { agreement, agreementLimitMs } from "./agreement.ts";
import { type Yardstick, yardstick } from "./settling.ts";
import { schedule } from "./schedule.ts";
import { type ChaosInit, startChaos } from "./session.ts";

/** Short as the runs are; a quarter of the faults outlasts their leases. */
export const MEAN_FAULT_MS = 3_000;

export interface ChaosRunInit extends ChaosInit {
  /** A folder that `pathweave create` made, copied for the first peer. */
  prepared: string;
  seed: number;
  /** Faults an hour, over the swarm. */
  rate: number;
  /** Faults at most; they also end when the run is complete. */
  faults: number;
}

export interface ChaosRun {
  seed: number;
  seconds: number;
  faults: number;
  /** From the last news until all peers agreed for good, ms; undefined when they did not. See `agreement`. */
  agreementMs: number | undefined;
  /** See `agreementLimitMs`. */
  agreementLimitMs: number;
  clocks: Yardstick;
  /** Folders of all peers, stopped. */
  directories: string[];
  /** Where the event log is. */
  events: string;
}

/** Makes the folder of the first peer. */
export async function prepare(init: Pick<ChaosRunInit, "directory" | "prepared">): Promise<void> {
  await mkdir(init.directory, { recursive: true });
  await cp(init.prepared, path.join(init.directory, "peer-1"), { recursive: true });
}

export async function chaosRun(init: ChaosRunInit): Promise<ChaosRun> {
  const { directory, peers, seed, rate, signal } = init;
  const began = performance.now();
  const { antiEntropySeconds, settleSeconds } = init.manifest.config.swarm;
  await prepare(init);
  const session = await startChaos(init);
  const { swarm, log, events } = session;
  try {
    await Promise.all(swarm.peers.map((peer) => peer.ready));
    const names = swarm.peers.map(({ name }) => name);
    const plan = schedule({ seed, rate, peers: names, meanMs: MEAN_FAULT_MS, count: init.faults });
    const faults = await session.injectUntilComplete(plan, signal);
    await session.stop();
    return {
      seed,
      seconds: Math.round((performance.now() - began) / 1000),
      faults,
      agreementMs: agreement(log.events, peers).milliseconds,
      agreementLimitMs: agreementLimitMs(log.events, peers, 1000 * antiEntropySeconds),
      clocks: yardstick(log.events, 1000 * settleSeconds),
      directories: names.map((name) => path.join(directory, name)),
      events,
    };
  } finally {
    await session.stop();
  }
}
