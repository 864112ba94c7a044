/** Bytes as raw chunks, and tensor packs whose numbers are already encoded. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import { MAX_BLOCK_BYTES, rawBlocks } from "../objects/object.ts";
import { TensorPack } from "../objects/tensor-pack.ts";
import type { FetchOptions, Store } from "./types.ts";

/** What reading takes of a store. */
type Source = Pick<Store, "get" | "fetch">;

/** Where to read from, and how much to accept. */
export interface ReadOptions extends FetchOptions {
  /** Refuse before fetching when there are more bytes. */
  maxBytes: number;
}

/** Writes bytes as raw chunks of 1 MiB, the last one shorter. Returns their CIDs in order. */
export async function writeChunks(store: Store, bytes: Uint8Array): Promise<CID[]> {
  const blocks = rawBlocks(bytes);
  await store.put(blocks);
  return blocks.map(({ cid }) => cid);
}

/**
 * Reads what `writeChunks` wrote: all chunks that are not on disk at once, from several holders. Throws
 * InvalidObjectError when the chunks do not make exactly `byteLength` bytes, UnavailableError when one cannot be had.
 */
export async function readChunks(
  store: Source,
  chunks: CID[],
  byteLength: number,
  options: ReadOptions,
): Promise<Uint8Array> {
  if (byteLength > options.maxBytes)
    throw new InvalidObjectError(
      `An object of ${byteLength} bytes is over the limit of ${options.maxBytes} here.`,
    );
  if (chunks.length !== Math.ceil(byteLength / MAX_BLOCK_BYTES))
    throw new InvalidObjectError(`${chunks.length} chunks of 1 MiB cannot hold exactly ${byteLength} bytes.`);
  await store.fetch(chunks, options);
  const bytes = new Uint8Array(byteLength);
  for (const [index, cid] of chunks.entries()) {
    const at = index * MAX_BLOCK_BYTES;
    // `get`: a chunk that was corrupt on disk is fetched now.
    const chunk = await store.get(cid, options);
    const expected = Math.min(MAX_BLOCK_BYTES, byteLength - at);
    if (chunk.byteLength !== expected)
      throw new InvalidObjectError(
        `Chunk ${index} (${cid.toString()}) has ${chunk.byteLength} bytes where the object needs ${expected}.`,
      );
    bytes.set(chunk, at);
  }
  return bytes;
}

/** Elements of all tensors. Throws InvalidObjectError when JavaScript cannot count them. */
function elementsOf(tensors: TensorPack["tensors"]): number {
  const elements = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  if (!Number.isSafeInteger(elements)) throw new InvalidObjectError("A tensor pack has impossible shapes.");
  return elements;
}

/** Writes encoded tensors and their description, chunks first. Returns the CID of the TensorPack. */
export async function writePack(
  store: Store,
  pack: Pick<TensorPack, "tensors" | "codec"> & { bytes: Uint8Array },
): Promise<CID> {
  const chunks = await writeChunks(store, pack.bytes);
  const root = TensorPack.encode({
    codec: pack.codec,
    tensors: pack.tensors,
    elements: elementsOf(pack.tensors),
    bytes: pack.bytes.byteLength,
    chunks,
  });
  await store.put([root]);
  return root.cid;
}

/**
 * Reads a tensor pack from disk or peers. The description is checked before a chunk is fetched.
 * Throws InvalidObjectError or UnavailableError.
 */
export async function readPack(
  store: Source,
  cid: CID,
  options: ReadOptions,
): Promise<{ pack: TensorPack; bytes: Uint8Array }> {
  const own = { root: cid, ...options };
  const pack = TensorPack.decode(await store.get(cid, own));
  if (elementsOf(pack.tensors) !== pack.elements)
    throw new InvalidObjectError(`The tensor pack ${cid.toString()} miscounts its elements.`);
  return { pack, bytes: await readChunks(store, pack.chunks, pack.bytes, own) };
}

/** Tensors as IPFS objects. */
export interface PackStore {
  write(pack: Pick<TensorPack, "tensors" | "codec"> & { bytes: Uint8Array }): Promise<CID>;
  read(cid: CID, options: ReadOptions): Promise<{ pack: TensorPack; bytes: Uint8Array }>;
  /** Whether the pack and all its chunks are on this disk. */
  complete(cid: CID): Promise<boolean>;
  /** All blocks of a pack that is on this disk, the root first; for retention. */
  blocks(cid: CID): Promise<CID[]>;
}

export function createPacks(store: Store): PackStore {
  const blocks = async (cid: CID): Promise<CID[] | undefined> => {
    const bytes = await store.local(cid);
    return bytes === undefined ? undefined : [cid, ...TensorPack.decode(bytes).chunks];
  };
  return {
    write: (pack) => writePack(store, pack),
    read: (cid, options) => readPack(store, cid, options),
    blocks: async (cid) => (await blocks(cid)) ?? [cid],
    async complete(cid) {
      const cids = await blocks(cid);
      if (cids === undefined) return false;
      return (await Promise.all(cids.map((chunk) => store.has(chunk)))).every(Boolean);
    },
  };
}
