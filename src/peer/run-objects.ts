/** Objects of a run beside its lineage: shards, tokenizer, router, the tensors of the warm start. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import { ShardObject, TokenizerObject } from "../objects/data.ts";
import { kindOf } from "../objects/object.ts";
import { TensorPack } from "../objects/tensor-pack.ts";
import { Version } from "../objects/version.ts";
import type { FetchOptions, Store } from "../store/types.ts";

/** All raw blocks that an object consists of. Throws InvalidObjectError when it is none of these. */
function chunksOf(bytes: Uint8Array): CID[] {
  switch (kindOf(bytes)) {
    case ShardObject.kind: {
      const { chunks, lengths } = ShardObject.decode(bytes);
      return [...chunks, ...lengths];
    }
    case TokenizerObject.kind:
      return TokenizerObject.decode(bytes).chunks;
    case TensorPack.kind:
      return TensorPack.decode(bytes).chunks;
    // The router's, whose state is blocks.
    case Version.kind:
      return Object.values(Version.decode(bytes).state);
    default:
      throw new InvalidObjectError(
        "A run has shards, a tokenizer, a router and tensors, but no object of this kind.",
      );
  }
}

/** Name under which an object and its blocks are retained. */
export function objectPin(object: CID): string {
  return `object:${object.toString()}`;
}

/** Reads objects of a run, from this disk or from those who have it. Throws UnavailableError. */
export interface RunReader {
  readonly store: Pick<Store, "get" | "fetch" | "retain">;
  /** Whom to ask now, and for how long. */
  options(): FetchOptions;
  read(object: CID): Promise<Uint8Array>;
  readAll(objects: CID[]): Promise<Uint8Array[]>;
}

export function createRunReader(store: RunReader["store"], options: () => FetchOptions): RunReader {
  const read = async (object: CID): Promise<Uint8Array> => store.get(object, options());
  return {
    store,
    options,
    read,
    async readAll(objects) {
      await store.fetch(objects, options());
      return Promise.all(objects.map(read));
    },
  };
}

/**
 * Gets an object onto this disk and retains it. It takes one block at a time, so that it never keeps a holder from
 * those who wait. Throws UnavailableError.
 */
export async function keepObject(
  store: Pick<Store, "get" | "fetch" | "retain">,
  object: CID,
  options: () => FetchOptions,
): Promise<void> {
  const chunks = chunksOf(await store.get(object, options()));
  await store.retain(objectPin(object), [object, ...chunks]);
  for (const chunk of chunks) await store.fetch([chunk], options());
}
