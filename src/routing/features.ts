import type { Router } from "./types.ts";

/** Mean hidden state over the first `lengths[b]` tokens: tokens (B, T), lengths (B) → (B, width) row-major. */
export type FeatureFunction = (tokens: Int32Array, lengths: Int32Array) => Promise<Float32Array>;

export interface FeatureOptions {
  /** Tokens at a document's start that route it. */
  prefixTokens: number;
  /** T that the feature function takes. */
  sequenceLength: number;
  /** Most documents of one call. */
  batchSize: number;
  /** Pads, and does not count as a prefix's last token: a prompt to be routed has none. */
  endOfText: number;
}

/** An item with the features of its document's prefix. */
export interface Featured<T> {
  item: T;
  /** (width) */
  features: Float32Array;
}

/**
 * Computes the features of documents as they stream by, `batchSize` at a time, in order. `tokensOf` gives a document's
 * token ids, of which at least the first `prefixTokens` are needed.
 */
export async function* featuresOf<T>(
  items: AsyncIterable<T> | Iterable<T>,
  tokensOf: (item: T) => Int32Array,
  features: FeatureFunction,
  options: FeatureOptions,
): AsyncGenerator<Featured<T>, void, undefined> {
  let pending: T[] = [];
  for await (const item of items) {
    pending.push(item);
    if (pending.length < options.batchSize) continue;
    yield* await featureBatch(pending, tokensOf, features, options);
    pending = [];
  }
  if (pending.length > 0) yield* await featureBatch(pending, tokensOf, features, options);
}

async function featureBatch<T>(
  items: T[],
  tokensOf: (item: T) => Int32Array,
  features: FeatureFunction,
  { prefixTokens, sequenceLength, endOfText }: FeatureOptions,
): Promise<Featured<T>[]> {
  const tokens = new Int32Array(items.length * sequenceLength).fill(endOfText);
  const lengths = new Int32Array(items.length);
  for (const [row, item] of items.entries()) {
    const document = tokensOf(item);
    const text = document.at(-1) === endOfText ? document.subarray(0, -1) : document;
    const prefix = text.subarray(0, Math.min(prefixTokens, sequenceLength));
    tokens.set(prefix, row * sequenceLength);
    // An empty document still has a padding token to look at.
    lengths[row] = Math.max(prefix.length, 1);
  }
  const values = await features(tokens, lengths);
  const width = values.length / items.length;
  return items.map((item, row) => ({ item, features: values.slice(row * width, (row + 1) * width) }));
}

/** The path a document goes to. */
export function pathOf(router: Router, features: Float32Array): number {
  return router.rank(features)[0]!;
}
