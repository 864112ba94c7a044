/** A local swarm to which faults can happen, with a record of everything. */
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Manifest } from "../../src/objects/manifest.ts";
import { type LocalSwarm, type LocalSwarmInit, startLocalSwarm } from "../local-swarm.ts";
import { createEventLog, type EventLog } from "./event-log.ts";
import { injectFaults } from "./inject.ts";
import type { ChaosNetwork } from "./network.ts";
import { createChaosProxy } from "./proxy.ts";
import type { Fault, FaultKind } from "./schedule.ts";

export interface ChaosSession {
  readonly swarm: LocalSwarm;
  readonly log: EventLog;
  /** Where the log is written. */
  readonly events: string;
  /** Lets the faults of the plan happen, until it ends or the signal aborts; resolves to how many there were when all are healed. */
  inject(
    plan: Iterator<Fault>,
    signal: AbortSignal,
    onFault?: (kind: FaultKind, peers: string[]) => void,
  ): Promise<number>;
  /**
   * Does so until the run is complete, heals everything, and waits until every peer says that it is, and all agree and
   * have agreed for a period of anti-entropy.
   */
  injectUntilComplete: ChaosSession["inject"];
  /** Stops all processes; call it in any case. */
  stop(): Promise<void>;
}

/** Anti-entropy periods in which no peer has news, after which those that differ will not agree any more. */
const QUIET_PERIODS = 3;
/** Anti-entropy periods in which peers that agree hear of nothing that parts them. */
const LASTING_PERIODS = 1;

export interface ChaosInit extends Omit<LocalSwarmInit, "launch"> {
  manifest: Manifest;
  /** Through a proxy on loopback when absent. Closed with the session. */
  network?: ChaosNetwork;
}

export async function startChaos(init: ChaosInit): Promise<ChaosSession> {
  const { directory } = init;
  const events = path.join(directory, "events.ndjson");
  const log = createEventLog(events);
  const network = init.network ?? (await createChaosProxy());
  const close = async (): Promise<void> => {
    await network.close();
    await log.close();
  };
  let swarm: LocalSwarm;
  try {
    swarm = await startLocalSwarm({ ...init, launch: network.launch });
  } catch (error) {
    await close();
    throw error;
  }
  log.follow(swarm);
  const inject: ChaosSession["inject"] = (plan, signal, onFault = () => {}) =>
    injectFaults({
      swarm,
      network,
      log,
      manifest: init.manifest,
      directory: (name) => path.join(directory, name),
      plan,
      signal,
      onFault,
    });
  let stopped: Promise<void> | undefined;
  return {
    swarm,
    log,
    events,
    inject,
    async injectUntilComplete(plan, signal, onFault) {
      const quiet = new AbortController();
      const injected = inject(plan, AbortSignal.any([quiet.signal, signal]), onFault);
      const [faults] = await Promise.all([injected, swarm.complete(signal).finally(() => quiet.abort())]);
      // A peer that was down when the others were done has to catch up; one that was paused may not know that it has to.
      // Those that never do are stopped as they are, and the audit says so.
      await swarm.complete(signal);
      await agreed(swarm, 1000 * init.manifest.config.swarm.antiEntropySeconds, signal);
      return faults;
    },
    stop: () => (stopped ??= swarm.stop().then(close, close)),
  };
}

/** Resolves when all running peers have agreed for a while, or when none has had news for so long that they never will. */
async function agreed(swarm: LocalSwarm, periodMs: number, signal: AbortSignal): Promise<void> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(), QUIET_PERIODS * periodMs);
  let heads = 0;
  swarm.onEvent((_peer, { type }) => {
    // An exchange says nothing itself until it ends, but each record that it brings does. Progress is told by the clock.
    if (type !== "progress" && !idle.signal.aborted) timer.refresh();
    if (type === "head") heads++;
  });
  try {
    for (let before = -1; before !== heads;) {
      await swarm.agree(AbortSignal.any([signal, idle.signal]));
      before = heads;
      await delay(LASTING_PERIODS * periodMs, undefined, { signal });
    }
  } catch (error) {
    if (!idle.signal.aborted || signal.aborted) throw error;
  } finally {
    idle.abort();
    clearTimeout(timer);
  }
}
