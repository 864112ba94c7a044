/**
 * Checkpoints as safetensors files: a little-endian uint64 with the length of a JSON header, the header, and the
 * numbers of all tensors one after the other. Large models are split into several files with an index, as Hugging
 * Face's `save_pretrained` does. Which tensor lies where is pure; numbers are written as they come.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import { encodeTensors } from "../outer/codec.ts";

const F32_BYTES = 4;
/** Numbers begin at a multiple of this; the header is filled up with spaces. */
const ALIGNMENT = 8;

/** One file and the tensors in it, in order. */
export interface SafetensorsFile {
  name: string;
  tensors: TensorDescription[];
  /** Of the numbers. */
  bytes: number;
}

export const INDEX_FILE = "model.safetensors.index.json";

export function bytesOf({ shape }: TensorDescription): number {
  return F32_BYTES * shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * Spreads tensors, in their order, over files of at most `maxBytes`; a larger tensor has a file of its own. A single
 * file is `model.safetensors`, several are `model-00001-of-00002.safetensors` and so on.
 */
export function planFiles(tensors: readonly TensorDescription[], maxBytes: number): SafetensorsFile[] {
  const groups: { tensors: TensorDescription[]; bytes: number }[] = [];
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    const last = groups.at(-1);
    if (last === undefined || last.bytes + bytes > maxBytes) groups.push({ tensors: [tensor], bytes });
    else {
      last.tensors.push(tensor);
      last.bytes += bytes;
    }
  }
  const number = (n: number): string => String(n).padStart(5, "0");
  return groups.map((group, at) => ({
    name:
      groups.length === 1
        ? "model.safetensors"
        : `model-${number(at + 1)}-of-${number(groups.length)}.safetensors`,
    ...group,
  }));
}

/** The index of several files: which of them holds a tensor. */
export function indexOf(files: readonly SafetensorsFile[]): object {
  return {
    metadata: { total_size: files.reduce((sum, { bytes }) => sum + bytes, 0) },
    weight_map: Object.fromEntries(
      files.flatMap(({ name, tensors }) => tensors.map((tensor) => [tensor.name, name])),
    ),
  };
}

/** What a file begins with: the header and its length. */
export function encodeHeader(tensors: readonly TensorDescription[]): Uint8Array {
  const entries: [string, object][] = [["__metadata__", { format: "pt" }]];
  let offset = 0;
  for (const tensor of tensors) {
    const end = offset + bytesOf(tensor);
    entries.push([tensor.name, { dtype: "F32", shape: tensor.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.byteLength / ALIGNMENT) * ALIGNMENT;
  const bytes = Buffer.alloc(ALIGNMENT + length, " ");
  bytes.writeBigUInt64LE(BigInt(length), 0);
  json.copy(bytes, ALIGNMENT);
  return bytes;
}

/**
 * Writes planned files into a folder, durably. `numbers` yields the tensors of all files in order; one is in memory at a
 * time. `onBytes` receives what was written so far. Throws what the file system says, and InvalidObjectError for a
 * number that is not finite.
 */
export async function writeFiles(
  folder: string,
  files: readonly SafetensorsFile[],
  numbers: AsyncIterator<Float32Array>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let written = 0;
  for (const { name, tensors } of files) {
    const file = await open(join(folder, name), "wx");
    try {
      await file.writeFile(encodeHeader(tensors));
      for (const tensor of tensors) {
        const next = await numbers.next();
        if (next.done === true || F32_BYTES * next.value.length !== bytesOf(tensor))
          throw new RangeError(`The numbers of ${tensor.name} do not fit its shape.`);
        await file.writeFile(encodeTensors(next.value, "f32"));
        onBytes((written += bytesOf(tensor)));
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
