/**
 * How numbers travel. Every layout is little-endian and its length follows from the number of elements n:
 *
 * - `f32`: n IEEE 754 binary32; 4n bytes.
 * - `bf16`: the upper half of binary32, rounded to nearest, ties to even; magnitudes above the largest
 *   finite bfloat16 become that; 2n bytes.
 * - `int8`: blocks of 256 elements, the last one shorter. A block is its scale as binary32 followed by one
 *   signed byte q per element, −127 ≤ q ≤ 127, value = f32(q · scale); n + 4·⌈n / 256⌉ bytes. The encoder
 *   takes scale = f32(max|x| / 127) and rounds x / scale to nearest, ties to even.
 *
 * Non-finite numbers are refused in both directions: one would spread to every weight of a module.
 */
import { InvalidObjectError } from "../errors.ts";
import type { Codec } from "../objects/tensor-pack.ts";

const BLOCK = 256;
const SCALE_BYTES = 4;
/** Adding and subtracting this rounds a small f64 to an integer, ties to even. */
const ROUND = 1.5 * 2 ** 52;
const BF16_MAX = 0x7f7f;

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  throw new Error("Pathweave reads tensors in place and needs a little-endian machine.");

/** Bytes of `elements` numbers. */
export function encodedBytes(codec: Codec, elements: number): number {
  if (codec === "f32") return 4 * elements;
  if (codec === "bf16") return 2 * elements;
  return elements + SCALE_BYTES * Math.ceil(elements / BLOCK);
}

/** Encodes numbers; throws InvalidObjectError when one is not finite. */
export function encodeTensors(values: Float32Array, codec: Codec): Uint8Array {
  if (!isFiniteTensor(values))
    throw new InvalidObjectError(
      "Cannot encode NaN or infinite numbers: the training that made them diverged.",
    );
  if (codec === "f32") return new Uint8Array(values.slice().buffer);
  return codec === "bf16" ? encodeBf16(values) : encodeInt8(values);
}

/**
 * Decodes exactly `elements` numbers into a new array. Throws InvalidObjectError when the length does not
 * fit, a number is not finite or a scale or byte is outside the layout.
 */
export function decodeTensors(bytes: Uint8Array, codec: Codec, elements: number): Float32Array {
  const expected = encodedBytes(codec, elements);
  if (bytes.byteLength !== expected)
    throw new InvalidObjectError(
      `${elements} numbers in ${codec} are ${expected} bytes, but there are ${bytes.byteLength}.`,
    );
  const values = new Float32Array(elements);
  if (codec === "f32") new Uint8Array(values.buffer).set(bytes);
  else if (codec === "bf16") decodeBf16(bytes, values);
  else decodeInt8(bytes, values);
  if (!isFiniteTensor(values)) throw new InvalidObjectError("Refused tensors with NaN or infinite numbers.");
  return values;
}

/** Error feedback: values − decode(encoded), to be added to what is encoded next. */
export function encodingResidual(values: Float32Array, encoded: Uint8Array, codec: Codec): Float32Array {
  const residual = decodeTensors(encoded, codec, values.length);
  for (let i = 0; i < residual.length; i++) residual[i] = values[i]! - residual[i]!;
  return residual;
}

/** Whether no number is NaN or infinite. */
export function isFiniteTensor(values: Float32Array): boolean {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7f80_0000) === 0x7f80_0000) return false;
  return true;
}

function encodeBf16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const x = bits[i]!;
    const half = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
    halves[i] = (half & 0x7fff) > BF16_MAX ? half - 1 : half;
  }
  return new Uint8Array(halves.buffer);
}

function decodeBf16(bytes: Uint8Array, values: Float32Array): void {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, values.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
}

function encodeInt8(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(encodedBytes("int8", values.length));
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
}

/** f32(largest / 127), one step lower where 127 times it would overflow. */
function scaleOf(largest: number): number {
  const scale = Math.fround(largest / 127);
  return Number.isFinite(Math.fround(127 * scale)) ? scale : Math.fround(scale * (1 - 2 ** -24));
}

function decodeInt8(bytes: Uint8Array, values: Float32Array): void {
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
}
