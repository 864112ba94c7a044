/** The codecs of tensor packs, decoded number by number. */
import { InvalidObjectError } from "../errors.ts";

interface Codec {
  bytes(elements: number): number;
  number(bytes: Buffer, i: number): number;
}

const INT8_BLOCK = 256;

const CODECS: Readonly<Record<string, Codec>> = {
  f32: { bytes: (elements) => 4 * elements, number: (bytes, i) => bytes.readFloatLE(4 * i) },
  bf16: { bytes: (elements) => 2 * elements, number: (bytes, i) => bfloat(bytes.readUInt16LE(2 * i)) },
  int8: { bytes: (elements) => elements + 4 * Math.ceil(elements / INT8_BLOCK), number: int8 },
};

/** Decodes exactly so many numbers. Throws InvalidObjectError. */
export function decode(bytes: Buffer, codec: string, elements: number): Float32Array {
  const known = Object.hasOwn(CODECS, codec) ? CODECS[codec] : undefined;
  if (known === undefined) throw new InvalidObjectError(`The codec ${codec} is not known here.`);
  if (bytes.byteLength !== known.bytes(elements))
    throw new InvalidObjectError(`${elements} numbers in ${codec} are not ${bytes.byteLength} bytes.`);
  return Float32Array.from({ length: elements }, (_, i) => known.number(bytes, i));
}

/** A bfloat16 is the upper half of a binary32. */
function bfloat(half: number): number {
  const word = Buffer.alloc(4);
  word.writeUInt16LE(half, 2);
  return word.readFloatLE(0);
}

/** Blocks of 256 numbers: a binary32 scale, then a signed byte each. */
function int8(bytes: Buffer, i: number): number {
  const at = Math.floor(i / INT8_BLOCK) * (INT8_BLOCK + 4);
  const [scale, q] = [bytes.readFloatLE(at), bytes.readInt8(at + 4 + (i % INT8_BLOCK))];
  if (!(scale >= 0) || q === -128) throw new InvalidObjectError("An int8 block is outside of the format.");
  return Math.fround(q * scale);
}
