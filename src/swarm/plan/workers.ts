/** The live peers that train and own, kept up to date as peers come and go. */
import { apply, difference } from "../members/difference.ts";
import { type Member, type Membership, peerOf } from "../members/membership.ts";

/** Live workers, sorted, and as a set. */
interface Known {
  /** What they follow from. */
  of: readonly Member[];
  roleChanges: number;
  peers: readonly string[];
  set: Set<string>;
}

export class Workers {
  readonly #membership: Membership;
  #known: Known | undefined;

  constructor(membership: Membership) {
    this.#membership = membership;
  }

  /** All of them; the same array until that changes. */
  all(now: number): readonly string[] {
    return this.#live(now).peers;
  }

  /** Whether a peer is among them. */
  has(peer: string, now: number): boolean {
    return this.#live(now).set.has(peer);
  }

  #live(now: number): Known {
    const of = this.#membership.live(now);
    const before = this.#known;
    if (before?.of === of) return before;
    const { roleChanges } = this.#membership;
    const isWorker = ({ heartbeat }: Member): boolean => heartbeat.role === "worker";
    if (before?.roleChanges !== roleChanges) {
      const peers = of.filter(isWorker).map(peerOf);
      this.#known = { of, roleChanges, peers, set: new Set(peers) };
      return this.#known;
    }
    const members = difference(before.of, of, peerOf);
    const [gone, come] = [members.gone, members.come].map((list) => list.filter(isWorker).map(peerOf));
    const { set } = before;
    for (const peer of gone!) set.delete(peer);
    for (const peer of come!) set.add(peer);
    const peers = apply(before.peers, { gone: gone!, come: come! }, itself);
    this.#known = { of, roleChanges, peers, set };
    return this.#known;
  }
}

function itself(peer: string): string {
  return peer;
}
