/** What simulated peers say to each other: heartbeats, records by gossip, and what anti-entropy brings. */
import { Heartbeat, type LeaseNotice } from "../../swarm/messages.ts";
import type { SimulatedNetwork } from "./network.ts";
import { heartbeat } from "./run.ts";
import type { Site } from "./site.ts";
import type { SimulatedPeer } from "./types.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A signed contribution as its block holds it. */
export const CONTRIBUTION_BYTES = 423;
const CID_BYTES = 41;
/** The question and the answer of peers that know the same. */
const DIGEST_BYTES = 191;

/** Bytes of a heartbeat with so many leases. */
function heartbeatBytes(count: number): number {
  const lease: LeaseNotice = { work: "train", round: 0, path: 0, replica: 0, progress: 0.5 };
  const leases = Array.from({ length: count }, () => lease);
  return Heartbeat.encode(heartbeat({ leases })).bytes.byteLength;
}

export interface MessagesInit {
  time: VirtualTime;
  network: SimulatedNetwork;
  sites: readonly Site[];
  /** Peers that messages do not reach or leave, but among each other. */
  cut: ReadonlySet<string>;
  /** How many peers are alive now. */
  alive: () => number;
}

export class Messages {
  readonly #init: MessagesInit;
  readonly #idleBytes = heartbeatBytes(0);
  readonly #busyBytes = heartbeatBytes(1);

  constructor(init: MessagesInit) {
    this.#init = init;
  }

  /** Whether messages pass between two peers. */
  reaches(a: SimulatedPeer, b: SimulatedPeer): boolean {
    const { cut } = this.#init;
    return cut.has(a.name) === cut.has(b.name);
  }

  /** Sends a heartbeat, which all others hear. */
  beat(peer: SimulatedPeer, leaving = false): void {
    if (!peer.alive || peer.paused) return;
    const { time, sites } = this.#init;
    const period = peer.coordinator.period(time.now);
    peer.spoke = { since: time.now, period };
    const leases = peer.coordinator.notices();
    const message = heartbeat({ sequence: ++peer.sequence, periodSeconds: period / 1000, leases, leaving });
    const bytes = leases.length > 0 ? this.#busyBytes : this.#idleBytes;
    for (const site of sites) {
      if (site === peer.site && site.peers.length === 1) continue;
      this.#send(peer, site, "heartbeats", bytes, () => {
        if (site.heard(peer.name, message, time.now) !== "new") return;
        for (const host of site.listening)
          if (host !== peer && host.coordinator.greets(peer.name, time.now)) this.#greet(host, peer);
      });
    }
  }

  /** Gossips a record: to the own site at once, and to the others some time later. */
  publish(from: SimulatedPeer, bytes: number, deliver: (to: Site) => boolean): void {
    for (const site of this.#init.sites)
      if (site === from.site) deliver(site);
      else
        this.#send(from, site, "records", bytes, () => {
          // It waits for something that the sender has.
          if (deliver(site)) this.reconcile(site, from.site, 1);
        });
  }

  /** What anti-entropy does: the asker gets all that it lacks. `askers` of its peers ask. */
  reconcile(asker: Site, donor: Site, askers: number): void {
    if (asker === donor || asker.asking || !this.#meets(asker, donor)) return;
    const { time, network } = this.#init;
    const same = asker.fingerprint === donor.fingerprint;
    network.exchanged(DIGEST_BYTES + (same ? 0 : asker.askBytes), askers);
    if (same) return;
    asker.asking = true;
    time.after(2 * network.latency(), () => {
      asker.asking = false;
      if (this.#meets(asker, donor)) this.#exchange(asker, donor);
    });
  }

  /** Answers a newcomer, as the peers do whose turn it is. */
  #greet(host: SimulatedPeer, newcomer: SimulatedPeer): void {
    this.beat(host);
    this.reconcile(host.site, newcomer.site, 1);
  }

  #send(
    from: SimulatedPeer,
    to: Site,
    kind: "heartbeats" | "records",
    bytes: number,
    deliver: () => void,
  ): void {
    if (!this.#arrives(from, to)) return;
    const { time, network, alive } = this.#init;
    const latency = network.gossip(alive());
    if (latency === undefined) return;
    time.after(latency, () => {
      const receivers = to.listening.length;
      if (receivers === 0 || !this.#arrives(from, to)) return;
      network.heard(kind, bytes, receivers, alive());
      deliver();
    });
  }

  #exchange(asker: Site, donor: Site): void {
    let bytes = 0;
    asker.askBytes = 0;
    for (const [module, lineage] of asker.lineages) {
      const source = donor.lineages.get(module)!;
      const have = lineage.have();
      asker.askBytes += module.length + (have.versions.length + have.contributions.length) * CID_BYTES;
      for (const cid of source.since(have).order) {
        const contribution = source.contribution(cid);
        const version = source.version(cid);
        bytes +=
          contribution === undefined ? CID_BYTES * (version?.contributions.length ?? 0) : CONTRIBUTION_BYTES;
        if (contribution !== undefined) asker.contribution(contribution);
        else if (version !== undefined) asker.version(version);
      }
    }
    const { network } = this.#init;
    network.exchanged(bytes, 0);
    network.traffic.controlBytes += bytes + asker.askBytes;
  }

  #arrives(from: SimulatedPeer, to: Site): boolean {
    return this.#init.cut.size === 0 || to.peers.some((peer) => this.reaches(from, peer));
  }

  #meets(a: Site, b: Site): boolean {
    const [[one], [other]] = [a.listening, b.listening];
    return one !== undefined && other !== undefined && this.reaches(one, other);
  }
}
