import type { Codec } from "./types.ts";

/** n IEEE 754 binary32; 4n bytes. Exact. */
export const f32: Codec = {
  bytes: (elements) => 4 * elements,
  encode: (values) => new Uint8Array(values.slice().buffer),
  decode(bytes, values) {
    new Uint8Array(values.buffer).set(bytes);
  },
};
