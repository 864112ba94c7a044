/** Two halves of one run that did not know each other (hivemind#624) have met: how a peer tells. */
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownVersion } from "../../outer/types.ts";

/** A peer that was first heard fewer heartbeats ago may be of another half, and one that could not be asked since. */
const NEW_HEARTBEATS = 10;

/** Generations that both sides have made alone. One is everyday life: two owners closed over different sets. */
const OWN_GENERATIONS = 2;

/**
 * How many generations each of two versions is above their last common ancestor; undefined while a part of the ancestry
 * is not known.
 */
export function generationsApart(
  versionOf: (cid: CID) => KnownVersion | undefined,
  a: KnownVersion,
  b: KnownVersion,
): [number, number] | undefined {
  let [one, other]: (KnownVersion | undefined)[] = [a, b];
  while (one !== undefined && other !== undefined) {
    if (one.cid.equals(other.cid)) return [a.generation - one.generation, b.generation - one.generation];
    const [up, down] = [one.generation >= other.generation, other.generation >= one.generation];
    if (up) one = one.parent === null ? undefined : versionOf(one.parent);
    if (down) other = other.parent === null ? undefined : versionOf(other.parent);
  }
  return undefined;
}

/** What was found when two halves met. */
export interface Split {
  /** Peers of the other half that are known by now. */
  peers: string[];
  /** Modules whose heads were different. */
  heads: number;
}

export interface SplitDetector {
  joined(peer: string, now: number): void;
  left(peer: string, now: number): void;
  /** A peer told of a version that was not known. */
  brought(peer: string, version: KnownVersion): void;
  /** Runs an exchange with a peer; resolves to the split that it showed, if it did. */
  during(peer: string, now: number, exchange: () => Promise<void>): Promise<Split | undefined>;
}

export interface SplitDetectorInit {
  lineages: ReadonlyMap<string, Lineage>;
  heartbeatMs: number;
  /** When this peer began to listen (ms). */
  now: number;
}

/**
 * Tells two halves that meet from peers that come and go. Peers of another half bring versions of another branch; a peer
 * that joined this half, or follows it, never does. To a peer that has just started everybody is new, so it says
 * nothing. Halves with the same heads merge without a word, like any newcomers.
 */
export function createSplitDetector({ lineages, heartbeatMs, now: began }: SplitDetectorInit): SplitDetector {
  const newMs = NEW_HEARTBEATS * heartbeatMs;
  const known = new Map<string, { since: number; left: number | undefined; met: boolean }>();
  const exchanges = new Map<string, Set<KnownVersion[]>>();
  return {
    joined(peer, now) {
      const before = known.get(peer);
      // A peer that was late for a heartbeat or two is not new.
      const isBack = before?.left !== undefined && now - before.left < newMs;
      if (isBack) before.left = undefined;
      else known.set(peer, { since: now, left: undefined, met: false });
    },
    left(peer, now) {
      const before = known.get(peer);
      if (before !== undefined) before.left = now;
      for (const [other, { left = now }] of known) if (now - left >= newMs) known.delete(other);
    },
    brought(peer, version) {
      for (const versions of exchanges.get(peer) ?? []) versions.push(version);
    },
    async during(peer, now, exchange) {
      const heads = new Map([...lineages].map(([module, lineage]) => [module, lineage.head()]));
      const versions: KnownVersion[] = [];
      const running = exchanges.get(peer) ?? new Set();
      exchanges.set(peer, running.add(versions));
      try {
        await exchange();
      } finally {
        running.delete(versions);
        if (running.size === 0) exchanges.delete(peer);
      }
      const recent = now - newMs;
      const { since = now, met = false } = known.get(peer) ?? {};
      // Whom it heard when it had just started is of its own half, asked or not.
      const isNew = since > recent || (!met && since - began >= newMs);
      if (known.has(peer)) known.get(peer)!.met = true;
      if (began > recent || !isNew) return undefined;
      const modules = versions
        .filter(({ module }) => lineages.has(module))
        .filter((version) => {
          const lineage = lineages.get(version.module)!;
          const apart = generationsApart((cid) => lineage.version(cid), heads.get(version.module)!, version);
          return apart !== undefined && Math.min(...apart) >= OWN_GENERATIONS;
        })
        .map(({ module }) => module);
      if (modules.length === 0) return undefined;
      // Gossip brings the members of a half together, long before all of them can be asked.
      const together = [...known].filter(([, other]) => Math.abs(other.since - since) < newMs);
      return {
        peers: [...new Set([peer, ...together.map(([other]) => other)])],
        heads: new Set(modules).size,
      };
    },
  };
}
