import { InvalidObjectError } from "../../errors.ts";
import type { Codec } from "./types.ts";

const BLOCK = 256;
const SCALE_BYTES = 4;
/** Adding and subtracting this rounds a small f64 to an integer, ties to even. */
const ROUND = 1.5 * 2 ** 52;

/**
 * Blocks of 256 elements, the last one shorter. A block is its scale as binary32 followed by one signed byte q per
 * element, −127 ≤ q ≤ 127, value = f32(q · scale); n + 4·⌈n / 256⌉ bytes. The encoder takes
 * scale = f32(max|x| / 127) and rounds x / scale to nearest, ties to even.
 */
export const int8: Codec = {
  bytes: (elements) => elements + SCALE_BYTES * Math.ceil(elements / BLOCK),
  encode(values) {
    const bytes = new Uint8Array(int8.bytes(values.length));
    const view = new DataView(bytes.buffer);
    const signed = new Int8Array(bytes.buffer);
    for (let start = 0, at = 0; start < values.length; start += BLOCK) {
      const end = Math.min(start + BLOCK, values.length);
      let largest = 0;
      for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(values[i]!));
      const scale = scaleOf(largest);
      view.setFloat32(at, scale, true);
      at += SCALE_BYTES;
      // A zero scale leaves zeros: the block is too small for binary32.
      if (scale > 0)
        for (let i = start; i < end; i++) {
          const q = values[i]! / scale + ROUND - ROUND;
          signed[at + i - start] = Math.max(-127, Math.min(127, q));
        }
      at += end - start;
    }
    return bytes;
  },
  decode(bytes, values) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let start = 0, at = 0; start < values.length; start += BLOCK) {
      const end = Math.min(start + BLOCK, values.length);
      const scale = view.getFloat32(at, true);
      if (!(scale >= 0)) throw new InvalidObjectError(`Refused an int8 block with the scale ${scale}.`);
      at += SCALE_BYTES;
      for (let i = start; i < end; i++) {
        const q = signed[at + i - start]!;
        if (q === -128) throw new InvalidObjectError("Refused an int8 block with the byte −128.");
        values[i] = q * scale;
      }
      at += end - start;
    }
  },
};

/** f32(largest / 127), one step lower where 127 times it would overflow. */
function scaleOf(largest: number): number {
  const scale = Math.fround(largest / 127);
  return Number.isFinite(Math.fround(127 * scale)) ? scale : Math.fround(scale * (1 - 2 ** -24));
}
