/** Carries a schedule of faults out on a local swarm, with real signals, real cuts and real losses of disks. */
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Manifest } from "../../src/objects/manifest.ts";
import { replicatedObjects } from "../../src/swarm/modules/replication.ts";
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
  /** The run's; `peer-1` has all that it names from the start. */
  manifest: Manifest;
  plan: Iterator<Fault>;
  /** Faults end when it aborts; those under way are healed first. */
  signal: AbortSignal;
  onFault(kind: FaultKind, peers: string[]): void;
}

/** Resolves to how many faults there were, when all of them are healed and all peers are up again. */
export async function injectFaults(init: InjectInit): Promise<number> {
  const { swarm, plan, signal } = init;
  const held = followHoldings(swarm, init.manifest);
  const struck = new Set<string>();
  const joins = new Set<Promise<unknown>>();
  const underWay = new Map<Promise<void>, FaultKind>();
  const healed = (kind?: FaultKind): Promise<unknown> =>
    Promise.all([...underWay].filter(([, of]) => kind === undefined || of === kind).map(([work]) => work));
  let faults = 0;
  let failure: Error | undefined;
  for (let next = plan.next(); next.done !== true; next = plan.next()) {
    const fault = next.value;
    await delay(fault.after, undefined, { signal }).catch(() => {});
    // These strike all at once, and wait their turn.
    if (fault.kind === "blackout") await healed();
    if (fault.kind === "partition") await healed("partition");
    // A peer that joins with an empty disk ends with an error when all peers with the run go meanwhile, as a person would see.
    await Promise.allSettled(joins);
    if (signal.aborted) break;
    const victims = choose(fault, swarm, struck, held);
    if (victims === undefined) continue;
    faults++;
    const { kind, peers } = victims;
    init.onFault(kind, peers);
    // The two sides of a partition are up, and may be struck.
    const down = kind === "partition" ? [] : peers;
    for (const name of down) struck.add(name);
    const work = strike(init, { ...fault, kind }, peers, held, joins)
      .catch((error: Error) => {
        failure ??= error;
      })
      .finally(() => {
        for (const name of down) struck.delete(name);
        underWay.delete(work);
      });
    underWay.set(work, kind);
  }
  await healed();
  if (failure !== undefined) throw failure;
  return faults;
}

/** What only disks can bring back: versions by their CIDs, and the objects of the manifest. */
interface Holdings {
  /** By peer. */
  disks: ReadonlyMap<string, Set<string>>;
  objects: readonly string[];
}

function followHoldings(swarm: LocalSwarm, manifest: Manifest): Holdings {
  const objects = replicatedObjects(manifest, []).map(String);
  const made = [...objects, ...manifest.genesis.map(({ version }) => String(version))];
  const disks = new Map(
    swarm.peers.map(({ name, holds }) => [name, new Set([...holds, ...(name === "peer-1" ? made : [])])]),
  );
  swarm.onEvent((peer, event) => {
    if (event.type === "version" || event.type === "kept") disks.get(peer.name)!.add(event.cid);
  });
  return { disks, objects };
}

/** The victims, or undefined when the fault cannot happen now. A disk is only lost when what it holds is elsewhere too. */
function choose(
  { kind, order }: Fault,
  swarm: LocalSwarm,
  struck: ReadonlySet<string>,
  held: Holdings,
): { kind: FaultKind; peers: string[] } | undefined {
  if (kind === "partition") return { kind, peers: order.slice(0, Math.ceil(order.length / 2)) };
  if (kind === "blackout") return { kind, peers: order };
  const up = order.filter((name) => !struck.has(name));
  if (up.length === 0) return undefined;
  const spare = kind === "wipe" ? up.find((name) => isElsewhere(swarm, name, held)) : up[0];
  return spare === undefined ? { kind: "kill", peers: [up[0]!] } : { kind, peers: [spare] };
}

function isElsewhere(swarm: LocalSwarm, name: string, { disks, objects }: Holdings): boolean {
  const others = [...disks].filter(([other]) => other !== name).map(([, disk]) => disk);
  const heads = swarm.peers.flatMap((peer) => [...peer.heads.values()]);
  return [...heads, ...objects].every((cid) => others.some((disk) => disk.has(cid)));
}

async function strike(
  init: InjectInit,
  fault: Fault,
  names: string[],
  held: Holdings,
  joins: Set<Promise<unknown>>,
): Promise<void> {
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
        for (const name of names) held.disks.get(name)!.clear();
      }
      await wait();
      const ready = Promise.all(names.map((name) => swarm.start(name).ready));
      if (kind === "wipe") joins.add(ready);
      await ready.finally(() => joins.delete(ready));
      log.fault("restart", names);
    }
  }
}

/** Ends early, without an error, when the signal aborts. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => {});
}
