import type { Codec } from "./types.ts";

const LARGEST = 0x7f7f;

/**
 * The upper half of binary32, rounded to nearest, ties to even; magnitudes above the largest finite bfloat16 become that;
 * 2n bytes.
 */
export const bf16: Codec = {
  bytes: (elements) => 2 * elements,
  encode(values) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const halves = new Uint16Array(values.length);
    for (let i = 0; i < bits.length; i++) {
      const x = bits[i]!;
      const half = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
      halves[i] = (half & 0x7fff) > LARGEST ? half - 1 : half;
    }
    return new Uint8Array(halves.buffer);
  },
  decode(bytes, values) {
    const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
    const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, values.length);
    const bits = new Uint32Array(values.buffer);
    for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  },
};
