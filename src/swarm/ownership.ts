import { hash64 } from "../random.ts";

/**
 * Peers in rendezvous order for a key: every peer that knows the same members gets the same order, and
 * a member that leaves moves nobody else (highest random weight hashing, Thaler & Ravishankar 1998).
 */
export function rendezvous(key: (string | number)[], peers: readonly string[]): string[] {
  return peers
    .map((peer) => ({ peer, weight: hash64(...key, peer) }))
    .toSorted((a, b) => (a.weight === b.weight ? (a.peer < b.peer ? -1 : 1) : a.weight < b.weight ? -1 : 1))
    .map(({ peer }) => peer);
}

/** The peers whose duty it is to publish the next version of a module, first duty first (DESIGN section 4). */
export function ownersOf(run: string, module: string, workers: readonly string[], count: number): string[] {
  return rendezvous(["owner", run, module], workers).slice(0, count);
}
