/** Tensors as the formats describe them (`src/objects/tensor-pack.ts`). */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import { MAX_BLOCK_BYTES, rawBlocks } from "../objects/object.ts";
import { type TensorDescription, TensorPack } from "../objects/tensor-pack.ts";
import { decode } from "./codecs.ts";
import type { Blocks } from "./types.ts";

export interface Tensors {
  pack: TensorPack;
  /** All tensors one after the other, flat. */
  values: Float32Array;
}

/** Reads a pack; undefined when a block of it is missing. Throws InvalidObjectError when the blocks contradict it. */
export async function readTensors(blocks: Blocks, cid: CID): Promise<Tensors | undefined> {
  const root = await blocks.read(cid);
  if (root === undefined) return undefined;
  const pack = TensorPack.decode(root);
  const parts: Uint8Array[] = [];
  for (const [index, chunk] of pack.chunks.entries()) {
    const part = await blocks.read(chunk);
    if (part === undefined) return undefined;
    if (index < pack.chunks.length - 1 && part.byteLength !== MAX_BLOCK_BYTES)
      throw new InvalidObjectError(`Tensors ${cid.toString()} are cut into chunks of the wrong size.`);
    parts.push(part);
  }
  const bytes = Buffer.concat(parts);
  if (bytes.byteLength !== pack.bytes || count(pack.tensors) !== pack.elements)
    throw new InvalidObjectError(`Tensors ${cid.toString()} are not as long as they say.`);
  const values = decode(bytes, pack.codec, pack.elements);
  if (!values.every(Number.isFinite))
    throw new InvalidObjectError(`Tensors ${cid.toString()} hold NaN or infinite numbers.`);
  return { pack, values };
}

function count(tensors: readonly TensorDescription[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

/** The CID of a pack of f32 tensors, without writing it anywhere. */
export function cidOfTensors(values: Float32Array, tensors: TensorDescription[]): CID {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true);
  return TensorPack.encode({
    codec: "f32",
    tensors,
    elements: values.length,
    bytes: bytes.byteLength,
    chunks: rawBlocks(bytes).map(({ cid }) => cid),
  }).cid;
}
