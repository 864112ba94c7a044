import { hash64 } from "../../random.ts";

/** Two halves of a 64-bit hash. */
type Halves = readonly [number, number];

const MAX_REMEMBERED = 1 << 16;
const hashes = new Map<string, Halves>();

function halvesOf(peer: string): Halves {
  const known = hashes.get(peer);
  if (known !== undefined) return known;
  // Peers are many and strangers choose their ids, so what is remembered has a limit.
  if (hashes.size >= MAX_REMEMBERED) hashes.clear();
  const halves = split(hash64("peer", peer));
  hashes.set(peer, halves);
  return halves;
}

function split(hash: bigint): Halves {
  return [Number(hash >> 32n) | 0, Number(hash & 0xffff_ffffn) | 0];
}

/** The finaliser of MurmurHash3: a permutation of 32-bit integers that changes half of the bits for every one. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Weight of a peer for a key, 52 bits: hashes are made once per peer and key, pairs are only mixed. */
function weigh(key: Halves, peer: Halves): number {
  const high = mix(key[0] ^ peer[0]);
  const low = mix(key[1] ^ peer[1] ^ Math.imul(high, 0x9e3779b1));
  return (mix(high ^ low) >>> 0) * 0x10_0000 + (low >>> 12);
}

/** A key with its hash, for callers that rank by it again and again. */
export class RendezvousKey {
  readonly halves: Halves;

  constructor(...labels: (string | number)[]) {
    this.halves = split(hash64(...labels));
  }
}

/**
 * The first `count` peers in rendezvous order for a key: every peer that knows the same members gets the same order,
 * and a member that leaves moves nobody else (highest random weight hashing, Thaler & Ravishankar 1998).
 */
export function rendezvous(
  key: RendezvousKey | (string | number)[],
  peers: readonly string[],
  count: number = peers.length,
): string[] {
  if (count <= 0) return [];
  const { halves } = key instanceof RendezvousKey ? key : new RendezvousKey(...key);
  const first: Ranked[] = [];
  for (const peer of peers) {
    const weight = weigh(halves, halvesOf(peer));
    if (first.length >= count && weight > first.at(-1)!.weight) continue;
    const ranked = { peer, weight };
    let at = first.length;
    while (at > 0 && isBefore(ranked, first[at - 1]!)) at--;
    first.splice(at, 0, ranked);
    if (first.length > count) first.pop();
  }
  return first.map(({ peer }) => peer);
}

interface Ranked {
  peer: string;
  weight: number;
}

function isBefore(a: Ranked, b: Ranked): boolean {
  return a.weight < b.weight || (a.weight === b.weight && a.peer < b.peer);
}

/** The key that ranks the peers with the duty to publish the next version of a module (design, section 4). */
export function ownerKey(run: string, module: string): RendezvousKey {
  return new RendezvousKey("owner", run, module);
}

/** The peers with the duty to publish the next version of a module, first duty first. */
export function ownersOf(run: string, module: string, workers: readonly string[], count: number): string[] {
  return rendezvous(ownerKey(run, module), workers, count);
}
