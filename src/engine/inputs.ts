/** What enters an engine, checked and laid out as its thread takes it. */
import { InvalidObjectError } from "../errors.ts";
import { OPTIMIZER_SCALARS } from "../model/optimizer.ts";
import type { Steps } from "./executor.ts";
import type { Batch, EngineConfig } from "./types.ts";

/** The next `count` batches as one request. Throws RangeError when there are fewer. */
export async function collectSteps(
  source: Iterator<Batch> | AsyncIterator<Batch>,
  count: number,
  { batchSize, shape }: EngineConfig,
): Promise<Steps> {
  const size = batchSize * shape.sequenceLength;
  const tokens = new Int32Array(count * (size + batchSize));
  const mask = new Float32Array(count * size);
  for (let i = 0; i < count; i++) {
    const next = await source.next();
    if (next.done === true) throw new RangeError("There were fewer batches than training steps.");
    expectLength("the tokens of a batch", next.value.tokens, size + batchSize);
    expectLength("the mask of a batch", next.value.mask, size);
    expectRange("Token ids", next.value.tokens, 0, shape.vocabulary - 1);
    tokens.set(next.value.tokens, i * (size + batchSize));
    mask.set(next.value.mask, i * size);
  }
  return { count, tokens, mask, scalars: new Float32Array(count * OPTIMIZER_SCALARS) };
}

/** Number of rows of token ids. Throws RangeError unless an engine takes so many at once. */
export function rowsOf(method: string, tokens: Int32Array, columns: number, batchSize: number): number {
  const rows = tokens.length / columns;
  if (!Number.isInteger(rows) || rows < 1 || rows > batchSize)
    throw new RangeError(
      `${tokens.length} tokens are not 1 to ${batchSize} rows of ${columns} for ${method}.`,
    );
  return rows;
}

/** The same values, then zeros up to `length`. */
export function padded<T extends Float32Array | Int32Array>(values: T, length: number): T {
  const result = new (values.constructor as new (length: number) => T)(length);
  result.set(values);
  return result;
}

export function expectLength(what: string, values: ArrayLike<number>, length: number): void {
  if (values.length !== length)
    throw new RangeError(`Expected ${length} numbers in ${what}, got ${values.length}.`);
}

/** Devices do not check indices, and tokens may come from a peer. */
export function expectRange(what: string, values: Int32Array, least: number, most: number): void {
  for (const value of values)
    if (value < least || value > most)
      throw new InvalidObjectError(`${what} must lie between ${least} and ${most}; found ${value}.`);
}
