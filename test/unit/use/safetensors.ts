/** Reads safetensors files for tests, by the format's description alone. */
import { readFileSync } from "node:fs";

export interface ReadTensor {
  shape: number[];
  values: Float32Array;
}

/** The f32 tensors of a file by name. Throws when the file has gaps, overlaps or bytes left over. */
export function readSafetensors(file: string): Map<string, ReadTensor> {
  const bytes = readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(bytes.subarray(8, start).toString());
  delete header["__metadata__"];
  const tensors = new Map<string, ReadTensor>();
  let end = 0;
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of Object.entries(header)) {
    if (dtype !== "F32" || from !== end)
      throw new Error(`${name} is ${dtype} at ${from}, not F32 at ${end}.`);
    if (to - from !== 4 * shape.reduce((a, b) => a * b, 1)) throw new Error(`${name} has the wrong length.`);
    const values = new Float32Array((to - from) / 4);
    for (const index of values.keys()) values[index] = bytes.readFloatLE(start + from + 4 * index);
    tensors.set(name, { shape, values });
    end = to;
  }
  if (start + end !== bytes.byteLength)
    throw new Error(`${bytes.byteLength - start - end} bytes are left over.`);
  return tensors;
}
