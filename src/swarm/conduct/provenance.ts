/**
 * Remembers which peers announced a version to this one. Versions are unsigned, so only this tells who brought a false
 * one; it lies on disk, where `pathweave audit` reads it. It also tells who holds a version's tensors.
 */
import { CID } from "multiformats/cid";
import { boundedMap } from "../../bounded-map.ts";
import { InvalidObjectError } from "../../errors.ts";
import { Announcers as AnnouncersObject } from "../../objects/announcers.ts";
import type { Store } from "../../store/types.ts";

/** Name of the state file. */
const STATE = "announcers";
/** Versions that are remembered; the longest unheard of are forgotten first. */
const MAX_VERSIONS = 2048;
/** Peers a version that are kept on disk: the first that published it, then the first that passed it on. */
const MAX_KEPT = 4;

export interface Announcers {
  /** Notes that `by` announced a version, and whether as its own fold; this peer itself, when it made it. */
  heard(version: CID, by: string, published: boolean): void;
  /** Peers that announced a version, in the order of hearing, and those of them that published it. */
  of(version: CID): { all: string[]; publishers: string[] };
  /** Reads what an earlier process wrote. What cannot be read is forgotten. */
  restore(): Promise<void>;
  /** Writes what is new. */
  flush(): Promise<void>;
}

export function createAnnouncers(store: Pick<Store, "readState" | "writeState">): Announcers {
  /** By version, then by peer: whether that peer published it. */
  const versions = boundedMap<string, Map<string, boolean>>(MAX_VERSIONS);
  let isDirty = false;

  function heard(version: CID, by: string, published: boolean): void {
    const key = version.toString();
    const peers = versions.peek(key) ?? new Map<string, boolean>();
    const known = peers.get(by);
    if (known === true || known === published) return;
    isDirty = true;
    versions.set(key, peers.set(by, published));
  }

  function encode(): Uint8Array {
    const entries = [...versions].toReversed().map(([version, peers]) => {
      const by = [...peers].map(([peer, published]) => ({ peer, published }));
      // Publishers matter more than those that passed it on; the sort keeps the order of hearing among equals.
      by.sort((a, b) => Number(b.published) - Number(a.published));
      return { version: CID.parse(version), by: by.slice(0, MAX_KEPT) };
    });
    return AnnouncersObject.encode({ versions: entries }).bytes;
  }

  return {
    heard,
    of(version) {
      const peers = [...(versions.peek(version.toString()) ?? [])];
      return {
        all: peers.map(([peer]) => peer),
        publishers: peers.filter(([, published]) => published).map(([peer]) => peer),
      };
    },
    async restore() {
      const bytes = await store.readState(STATE);
      if (bytes === undefined) return;
      try {
        for (const { version, by } of AnnouncersObject.decode(bytes).versions)
          for (const { peer, published } of by) heard(version, peer, published);
      } catch (error) {
        if (!(error instanceof InvalidObjectError)) throw error;
      }
    },
    async flush() {
      if (!isDirty) return;
      isDirty = false;
      try {
        await store.writeState(STATE, encode());
      } catch (error) {
        isDirty = true;
        throw error;
      }
    },
  };
}
