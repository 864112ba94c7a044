/** How held-out documents are scored: every token but the routing prefix, document by document. */
import type { EvaluationBatch } from "./types.ts";

export interface EvaluationOptions {
  /** Inputs of a sequence, T. */
  sequenceLength: number;
  /** Fills up the last sequence of a document. */
  endOfText: number;
  /** Tokens at a document's start that no model is scored on (paper section 2.4). */
  prefixTokens: number;
  /** Most rows of a batch; the last batch may have fewer. */
  batchSize: number;
}

/**
 * Cuts each document by itself into windows of T + 1 tokens that overlap by one and batches them. Each token after the
 * first `prefixTokens` (and after the very first, which nothing predicts) is a target exactly once, end-of-text
 * included. A document that is not longer has no row. Row b scores document `documents[b]`, counted from 0.
 */
export function* evaluationBatches(
  documents: Iterable<Int32Array>,
  options: EvaluationOptions,
): Generator<EvaluationBatch, void, undefined> {
  const { sequenceLength: T, batchSize: B, endOfText } = options;
  const firstTarget = Math.max(options.prefixTokens, 1);
  let rows: { document: number; tokens: Int32Array; mask: Float32Array }[] = [];
  const batch = (): EvaluationBatch => {
    const tokens = new Int32Array(rows.length * (T + 1));
    const mask = new Float32Array(rows.length * T);
    for (const [index, row] of rows.entries()) {
      tokens.set(row.tokens, index * (T + 1));
      mask.set(row.mask, index * T);
    }
    const result = { tokens, mask, documents: Int32Array.from(rows, (row) => row.document) };
    rows = [];
    return result;
  };
  let index = 0;
  for (const document of documents) {
    // The first window with a target; when the prefix is longer than T, those before it have none.
    for (let start = Math.floor((firstTarget - 1) / T) * T; start < document.length - 1; start += T) {
      const end = Math.min(start + T + 1, document.length);
      const from = Math.max(firstTarget, start + 1);
      if (from >= end) continue;
      const tokens = new Int32Array(T + 1).fill(endOfText);
      tokens.set(document.subarray(start, end));
      rows.push({
        document: index,
        tokens,
        mask: new Float32Array(T).fill(1, from - start - 1, end - start - 1),
      });
      if (rows.length === B) yield batch();
    }
    index++;
  }
  if (rows.length > 0) yield batch();
}
