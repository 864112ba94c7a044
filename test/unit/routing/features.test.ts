import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FeatureFunction, featuresOf } from "../../../src/routing/features.ts";

const OPTIONS = { prefixTokens: 3, sequenceLength: 5, batchSize: 2, endOfText: 0 };

/** Sum and length of each prefix, and what lies behind it. */
function recording(calls: { tokens: number[]; lengths: number[] }[]): FeatureFunction {
  return async (tokens, lengths) => {
    calls.push({ tokens: [...tokens], lengths: [...lengths] });
    const width = tokens.length / lengths.length;
    return Float32Array.from(
      [...lengths].flatMap((length, row) => [
        tokens.subarray(row * width, row * width + length).reduce((a, b) => a + b, 0),
        length,
      ]),
    );
  };
}

describe("features of prefixes", () => {
  it("come in order, in batches, cut at the prefix and without end-of-text", async () => {
    const documents = [[1, 2, 3, 4, 0], [5, 0], [0], [6, 7], [8, 9, 10, 11, 12, 13, 0]].map((ids) =>
      Int32Array.from(ids),
    );
    const calls: { tokens: number[]; lengths: number[] }[] = [];
    const results = [];
    for await (const { item, features } of featuresOf(
      documents.keys(),
      (i) => documents[i]!,
      recording(calls),
      OPTIONS,
    ))
      results.push([item, ...features]);
    assert.deepEqual(results, [
      [0, 6, 3],
      [1, 5, 1],
      [2, 0, 1],
      [3, 13, 2],
      [4, 27, 3],
    ]);
    assert.deepEqual(calls, [
      { tokens: [1, 2, 3, 0, 0, 5, 0, 0, 0, 0], lengths: [3, 1] },
      { tokens: [0, 0, 0, 0, 0, 6, 7, 0, 0, 0], lengths: [1, 2] },
      { tokens: [8, 9, 10, 0, 0], lengths: [3] },
    ]);
  });

  it("read no more of a stream than a batch", async () => {
    let read = 0;
    async function* endless(): AsyncGenerator<Int32Array> {
      for (;;) {
        read++;
        yield Int32Array.of(1, 0);
      }
    }
    for await (const { features } of featuresOf(endless(), (tokens) => tokens, recording([]), OPTIONS)) {
      assert.deepEqual(features, Float32Array.of(1, 1));
      break;
    }
    assert.equal(read, 2);
  });
});
