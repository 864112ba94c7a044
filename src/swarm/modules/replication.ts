/**
 * Decides which peers keep the objects that restart a run, and that route a prompt once the run is over: shards,
 * tokenizer, router, the tensors of the warm start. Otherwise only the run's creator and the peers that happened to need
 * one would hold it. Each is also the duty of a few peers, so that no disk is the only one. Owners keep the heads of
 * their modules. Pure.
 */
import type { CID } from "multiformats/cid";
import { genesisOf, type Manifest, ROUTER } from "../../objects/manifest.ts";
import { rendezvous } from "../members/rendezvous.ts";

/** Peers that each object is the duty of. */
export const COPIES = 3;
/** Objects that one look goes through, so that many objects and peers do not hold up the loop. */
const AT_ONCE = 16;

/**
 * Everything that is replicated, the most needed first. The router is its genesis version with
 * all its state. `warmStart` are the TensorPacks of the other genesis versions, which all
 * modules of a level have in common; rounds need them only for as long as versions are retained.
 */
export function replicatedObjects(
  { tokenizer, genesis, shards, holdouts, validation }: Manifest,
  warmStart: readonly CID[],
): CID[] {
  const data = [...shards, validation, ...holdouts].map(({ shard }) => shard);
  const router = genesisOf({ genesis }, ROUTER);
  const all = [tokenizer, ...(router === undefined ? [] : [router]), ...data, ...warmStart];
  return [...new Map(all.map((cid) => [cid.toString(), cid])).values()];
}

export function replicatorsOf(run: string, object: CID, workers: readonly string[]): string[] {
  return rendezvous(["replication", run, object.toString()], workers).slice(0, COPIES);
}

export interface Replication {
  /** An object that is this peer's duty among these workers and not kept yet; looks on from where it last ended. */
  next(workers: readonly string[]): CID | undefined;
  kept(object: CID): void;
}

export function createReplication(run: string, self: string, objects: readonly CID[]): Replication {
  let missing = [...objects];
  return {
    next(workers) {
      for (let looks = Math.min(AT_ONCE, missing.length); looks > 0; looks--) {
        const [object, ...others] = missing as [CID, ...CID[]];
        missing = [...others, object];
        if (replicatorsOf(run, object, workers).includes(self)) return object;
      }
      return undefined;
    },
    kept(object) {
      missing = missing.filter((other) => !other.equals(object));
    },
  };
}
