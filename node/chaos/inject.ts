/** Carries a schedule of faults out on a local swarm, with real signals, real cuts and real losses of disks. */
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { LocalSwarm } from "../local-swarm.ts";
import type { EventLog } from "./event-log.ts";
import type { ChaosNetwork, Link } from "./network.ts";
import type { Fault, FaultKind } from "./schedule.ts";

/** A poor link of somebody at home. */
const SLOW_LINK: Link = { bytesPerSecond: 128 * 1024, latencyMs: 100 };

export interface InjectInit {
  swarm: LocalSwarm;
  network: ChaosNetwork;
  log: EventLog;
  /** Folder of a peer by its name. */
  directory(name: string): string;
  plan: Iterator<Fault>;
  /** Faults end when it aborts; those under way are healed first. */
  signal: AbortSignal;
  onFault(kind: FaultKind, peers: string[]): void;
}

/** Resolves to how many faults there were, when all of them are healed and all peers are up again. */
export async function injectFaults(init: InjectInit): Promise<number> {
  const { swarm, plan, signal } = init;
  const held = followHoldings(swarm);
  const struck = new Set<string>();
  const underWay = new Set<Promise<void>>();
  let faults = 0;
  let failure: unknown;
  for (let next = plan.next(); next.done !== true; next = plan.next()) {
    const fault = next.value;
    try {
      await delay(fault.after, undefined, { signal });
    } catch {
      break;
    }
    const victims = choose(fault, swarm, struck, held);
    if (victims === undefined) continue;
    faults++;
    for (const name of victims.peers) struck.add(name);
    init.onFault(victims.kind, victims.peers);
    const work = strike(init, { ...fault, kind: victims.kind }, victims.peers, held)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        for (const name of victims.peers) struck.delete(name);
        underWay.delete(work);
      });
    underWay.add(work);
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
  return faults;
}

/** By peer, the versions whose tensors are on its disk. */
type Holdings = Map<string, Set<string>>;

function followHoldings(swarm: LocalSwarm): Holdings {
  const held: Holdings = new Map(swarm.peers.map(({ name, holds }) => [name, new Set(holds)]));
  swarm.onEvent((peer, event) => {
    if (event.type === "version") held.get(peer.name)!.add(event.cid);
  });
  return held;
}

/** The victims, or undefined when the fault cannot happen now. A disk is only lost when the heads are elsewhere too. */
function choose(
  { kind, order }: Fault,
  swarm: LocalSwarm,
  struck: ReadonlySet<string>,
  held: Holdings,
): { kind: FaultKind; peers: string[] } | undefined {
  const up = order.filter((name) => !struck.has(name));
  const first = up[0];
  if (first === undefined) return undefined;
  // These strike many at once, so nobody else may be struck at that time.
  if (kind === "partition" || kind === "blackout") {
    if (struck.size > 0) return undefined;
    return { kind, peers: kind === "blackout" ? up : up.slice(0, Math.ceil(up.length / 2)) };
  }
  if (kind !== "wipe") return { kind, peers: [first] };
  const spare = up.find((name) => headsElsewhere(swarm, name, struck, held));
  return spare === undefined ? { kind: "kill", peers: [first] } : { kind, peers: [spare] };
}

function headsElsewhere(
  swarm: LocalSwarm,
  name: string,
  struck: ReadonlySet<string>,
  held: Holdings,
): boolean {
  const others = swarm.peers.filter((peer) => peer.name !== name && !struck.has(peer.name));
  const heads = new Set(swarm.peers.flatMap((peer) => [...peer.heads.values()]));
  return [...heads].every((head) => others.some((peer) => held.get(peer.name)!.has(head)));
}

async function strike(init: InjectInit, fault: Fault, names: string[], held: Holdings): Promise<void> {
  const { swarm, network, log } = init;
  const peers = names.map((name) => swarm.peers.find((peer) => peer.name === name)!);
  const wait = (): Promise<void> => pause(fault.lasts, init.signal);
  const { kind } = fault;
  log.fault(kind, names);
  switch (kind) {
    case "pause":
      for (const peer of peers) peer.pause();
      await wait();
      for (const peer of peers) peer.resume();
      log.fault("resume", names);
      return;
    case "partition":
      await network.partition({ side: new Set(names), mode: fault.mode });
      await wait();
      await network.partition(undefined);
      log.fault("heal", names);
      return;
    case "slow":
      for (const name of names) await network.slow(name, SLOW_LINK);
      await wait();
      for (const name of names) await network.slow(name, undefined);
      log.fault("fast", names);
      return;
    case "stop":
    case "kill":
    case "wipe":
    case "blackout": {
      await Promise.all(peers.map((peer) => (kind === "stop" ? peer.stop() : peer.kill())));
      if (kind === "wipe") {
        await Promise.all(names.map((name) => rm(init.directory(name), { recursive: true })));
        for (const name of names) held.get(name)!.clear();
      }
      await wait();
      await Promise.all(names.map((name) => swarm.start(name).ready));
      log.fault("restart", names);
    }
  }
}

/** Ends early, without an error, when the signal aborts. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => {});
}
