/** One seed of chaos: a whole swarm that trains a small run to its end while faults strike it. */
import { cp, mkdir } from "node:fs/promises";
import path from "node:path";
import type { CID } from "multiformats/cid";
import type { Level } from "../../src/log.ts";
import { startLocalSwarm } from "../local-swarm.ts";
import { agreementMs } from "./agreement.ts";
import { createEventLog } from "./event-log.ts";
import { injectFaults } from "./inject.ts";
import { createChaosProxy } from "./proxy.ts";
import { schedule } from "./schedule.ts";

/** Between the start of a run and its first fault must be enough for all to find each other. */
const MEAN_FAULT_MS = 4_000;

export interface ChaosRunInit {
  /** Empty; holds all peers' folders and `events.ndjson` afterwards. */
  directory: string;
  /** A folder that `pathweave create` made, copied for the first peer. */
  prepared: string;
  run: CID;
  peers: number;
  seed: number;
  /** Faults an hour, over the swarm. */
  rate: number;
  /** Faults at most; they also end when the run is complete. */
  faults: number;
  logLevel: Level;
  signal: AbortSignal;
}

export interface ChaosRun {
  seed: number;
  seconds: number;
  faults: number;
  /** See `agreementMs`. */
  agreementMs: number | undefined;
  /** Folders of all peers, stopped. */
  directories: string[];
  /** Where the event log is. */
  events: string;
}

export async function chaosRun(init: ChaosRunInit): Promise<ChaosRun> {
  const { directory, peers, seed, signal } = init;
  const began = performance.now();
  await mkdir(directory, { recursive: true });
  await cp(init.prepared, path.join(directory, "peer-1"), { recursive: true });
  const events = path.join(directory, "events.ndjson");
  const log = createEventLog(events);
  const proxy = await createChaosProxy();
  try {
    const swarm = await startLocalSwarm({
      directory,
      peers,
      run: init.run,
      logLevel: init.logLevel,
      proxy,
      signal,
    });
    try {
      log.follow(swarm);
      await Promise.all(swarm.peers.map((peer) => peer.ready));
      const names = swarm.peers.map(({ name }) => name);
      const quiet = new AbortController();
      const plan = schedule({ seed, rate: init.rate, peers: names, meanMs: MEAN_FAULT_MS });
      const injected = injectFaults({
        swarm,
        proxy,
        log,
        directory: (name) => path.join(directory, name),
        plan: take(plan, init.faults),
        signal: AbortSignal.any([quiet.signal, signal]),
      });
      const all = swarm.complete(signal).finally(() => quiet.abort());
      const faults = await injected;
      await all;
      // A peer that was down when the others were done has to catch up.
      await swarm.complete(signal);
      await swarm.stop();
      return {
        seed,
        seconds: Math.round((performance.now() - began) / 1000),
        faults,
        agreementMs: agreementMs(log.events, peers),
        directories: names.map((name) => path.join(directory, name)),
        events,
      };
    } finally {
      await swarm.stop();
    }
  } finally {
    await proxy.close();
    await log.close();
  }
}

function* take<T>(items: Iterable<T>, count: number): Generator<T> {
  if (count <= 0) return;
  let taken = 0;
  for (const item of items) {
    yield item;
    if (++taken >= count) return;
  }
}
