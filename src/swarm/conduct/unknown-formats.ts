/**
 * Collects what arrives in formats that this peer does not know. A newer Pathweave may have sent it, so the peer charges
 * nobody. It ignores the content and shows that it came, so that the user of an old version learns of it.
 */

/** Peers that are remembered; identities cost nothing. */
const MAX_PEERS = 64;

export interface UnknownFormat {
  peer: string;
  /** Messages and records. */
  count: number;
  /** Why the last one was not understood. */
  reason: string;
}

export interface UnknownFormats {
  /** Returns whether it is the first of that peer. */
  note(peer: string, reason: string): boolean;
  all(): UnknownFormat[];
}

export function createUnknownFormats(): UnknownFormats {
  const byPeer = new Map<string, UnknownFormat>();
  return {
    note(peer, reason) {
      const known = byPeer.get(peer);
      if (known === undefined && byPeer.size >= MAX_PEERS) return false;
      byPeer.set(peer, { peer, count: (known?.count ?? 0) + 1, reason });
      return known === undefined;
    },
    all: () => [...byPeer.values()],
  };
}
