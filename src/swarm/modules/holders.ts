/** Whom to ask for tensors, the likeliest first. Pure. */
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Announcers } from "../conduct/provenance.ts";

export interface HoldersInit {
  self: string;
  /** Peers that announced a version hold its tensors. */
  announcers: Pick<Announcers, "of">;
  owners(module: string): string[];
  /** Peers that are heard now, and peers that are known to have the run. */
  live(): Iterable<string>;
  sources(): string[];
  /** Peers from which nothing is fetched. */
  blocked(peer: string): boolean;
}

export interface Holders {
  /** Peers that should have a version's tensors: those that announced it, owners, then anybody of the run. */
  ofVersion(version: KnownVersion): string[];
  /** Peers that should have an outer gradient: its signer, owners, then anybody of the run. */
  ofGradient(contribution: KnownContribution): string[];
}

export function createHolders(init: HoldersInit): Holders {
  function others(first: string[]): string[] {
    const peers = new Set([...first, ...init.live(), ...init.sources()]);
    peers.delete(init.self);
    return [...peers].filter((peer) => !init.blocked(peer));
  }
  return {
    ofVersion: ({ cid, module }) => others([...init.announcers.of(cid).all, ...init.owners(module)]),
    ofGradient({ signer, module }) {
      const heard = [...init.live()].filter((peer) => peer === signer);
      return others([...heard, ...init.owners(module)]);
    },
  };
}
