/** What a simulation showed, from what happened and from the lineages at its end. */
import { slotKey } from "../../plan/slots.ts";
import type { Simulation } from "./simulation.ts";
import type { SimulationEvent } from "./types.ts";

interface Distribution {
  count: number;
  median: number;
  max: number;
}

export interface Report {
  peers: number;
  paths: number;
  hours: number;
  seed: number;
  /** Kills, goodbyes, pauses and partitions. */
  faults: number;
  /** Generations of the module that has most. */
  generations: number;
  generationsPerHour: number;
  /** Outer updates of all modules that are in the final lineage, per hour. */
  updatesPerHour: number;
  /** From a version's announcement until the last site had it, s. */
  convergenceSeconds: Distribution;
  /** Whether all live peers had the same heads at the end. */
  headsAgree: boolean;
  /** From the end of a peer in training until another began its slot, s. */
  takeoverSeconds: Distribution;
  perPeerPerSecond: {
    heartbeats: number;
    records: number;
    exchanges: number;
    /** All of these. */
    messages: number;
    controlBytes: number;
    tensorBytes: number;
  };
  /** Rounds that were completed more than once, as a share of those completed. */
  duplicatedWork: number;
  /** Computing time of rounds that ended without a contribution, as a share of all. */
  wastedWork: number;
  /** Contributions that live peers know, and what became of them. */
  contributions: number;
  folded: number;
  rejected: number;
  /** Still to fold at the end. */
  pending: number;
  lost: number;
  foldedTwice: number;
}

function distribution(values: number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  return { count: sorted.length, median: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 };
}

/** When somebody else began the slot that a peer left behind when it went; ms, for each that was taken over. */
function takeovers(events: readonly SimulationEvent[]): number[] {
  const open = new Map<string, { at: number; peer: string }>();
  const times: number[] = [];
  for (const event of events) {
    if (event.type === "fold" || event.slot === undefined) continue;
    const key = slotKey(event.slot);
    const left = open.get(key);
    if (event.type === "fault") {
      // A peer that is only paused or cut off may go on before its lease is over.
      if (event.fault === "kill" || event.fault === "leave")
        open.set(key, { at: event.at, peer: event.peer });
    } else if (left !== undefined && event.type === "complete") open.delete(key);
    else if (left !== undefined && event.type === "start") {
      // A peer that is back within its lease has taken nothing over.
      if (event.peer !== left.peer) times.push(event.at - left.at);
      open.delete(key);
    }
  }
  return times;
}

export function headsAgree(simulation: Simulation): boolean {
  const [first, ...others] = simulation.sites.filter(({ listening }) => listening.length > 0);
  return others.every((site) =>
    [...site.lineages].every(([module, lineage]) =>
      lineage.head().cid.equals(first!.lineages.get(module)!.head().cid),
    ),
  );
}

export function reportOf(simulation: Simulation, seed: number, hours: number): Report {
  const { events, topology, network } = simulation;
  const { wastedMs, trainedMs } = simulation.training;
  const completes = events.flatMap((event) => (event.type === "complete" ? [slotKey(event.slot)] : []));
  const distinct = new Set(completes).size;
  const sums = { contributions: 0, folded: 0, rejected: 0, pending: 0, lost: 0, foldedTwice: 0 };
  const generations: number[] = [];
  const site = simulation.sites.find(({ listening }) => listening.length > 0) ?? simulation.sites[0]!;
  for (const lineage of site.lineages.values()) {
    const folded = lineage.ancestry().flatMap(({ contributions }) => contributions.map(String));
    const once = new Set(folded);
    const rejected = new Set(lineage.rejected().map(({ cid }) => cid.toString()));
    const pending = new Set(lineage.pending().map(({ cid }) => cid.toString()));
    for (const { cid } of lineage.contributions()) {
      const key = cid.toString();
      sums.contributions++;
      if (once.has(key)) sums.folded++;
      else if (rejected.has(key)) sums.rejected++;
      else if (pending.has(key)) sums.pending++;
      else sums.lost++;
    }
    sums.foldedTwice += folded.length - once.size;
    generations.push(lineage.head().generation);
  }
  const most = Math.max(...generations);
  const seconds = simulation.peerMs() / 1000;
  const { heartbeats, records, exchanges, controlBytes, tensorBytes } = network.traffic;
  const rate = (sum: number): number => sum / seconds;
  return {
    peers: simulation.peers.length,
    paths: topology.paths,
    hours,
    seed,
    faults: events.filter((event) => event.type === "fault").length,
    generations: most,
    generationsPerHour: most / hours,
    updatesPerHour: generations.reduce((a, b) => a + b, 0) / hours,
    convergenceSeconds: distribution(
      [...simulation.spreads.values()].map(({ from, until }) => (until - from) / 1000),
    ),
    headsAgree: headsAgree(simulation),
    takeoverSeconds: distribution(takeovers(events).map((time) => time / 1000)),
    perPeerPerSecond: {
      heartbeats: rate(heartbeats),
      records: rate(records),
      exchanges: rate(exchanges),
      messages: rate(heartbeats + records + exchanges),
      controlBytes: rate(controlBytes),
      tensorBytes: rate(tensorBytes),
    },
    duplicatedWork: distinct === 0 ? 0 : (completes.length - distinct) / distinct,
    wastedWork: wastedMs / Math.max(1, wastedMs + trainedMs),
    ...sums,
  };
}
