/**
 * How numbers travel. Non-finite numbers are refused in both directions: one would spread to every weight of a module.
 */
import { InvalidObjectError } from "../errors.ts";
import { codecOf } from "./codecs.ts";

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  throw new Error("Pathweave reads tensors in place and needs a little-endian machine.");

/** Encodes numbers; throws InvalidObjectError when one is not finite. */
export function encodeTensors(values: Float32Array, codec: string): Uint8Array {
  if (!isFiniteTensor(values))
    throw new InvalidObjectError(
      "Cannot encode NaN or infinite numbers: the training that made them diverged.",
    );
  return codecOf(codec).encode(values);
}

/**
 * Decodes exactly `elements` numbers into a new array. Throws InvalidObjectError when the codec is unknown, the length
 * does not fit, a number is not finite or a byte is outside the layout.
 */
export function decodeTensors(bytes: Uint8Array, codec: string, elements: number): Float32Array {
  const { decode, bytes: bytesOf } = codecOf(codec);
  const expected = bytesOf(elements);
  if (bytes.byteLength !== expected)
    throw new InvalidObjectError(
      `${elements} numbers in ${codec} are ${expected} bytes, but there are ${bytes.byteLength}.`,
    );
  const values = new Float32Array(elements);
  decode(bytes, values);
  if (!isFiniteTensor(values)) throw new InvalidObjectError("Refused tensors with NaN or infinite numbers.");
  return values;
}

/** Error feedback: values − decode(encoded); add it to the values that are encoded next. */
export function encodingResidual(values: Float32Array, encoded: Uint8Array, codec: string): Float32Array {
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
