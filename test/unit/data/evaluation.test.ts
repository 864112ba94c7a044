import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type EvaluationOptions, evaluationBatches } from "../../../src/data/evaluation.ts";

const OPTIONS: EvaluationOptions = { sequenceLength: 4, endOfText: 0, prefixTokens: 2, batchSize: 3 };

describe("evaluation batches", () => {
  it("score every token but the prefix, padded and tagged", () => {
    const batches = [
      ...evaluationBatches(
        [Int32Array.of(1, 2, 3, 4, 5, 6, 0), Int32Array.of(7, 0), Int32Array.of(8, 9, 0)],
        OPTIONS,
      ),
    ];
    assert.deepEqual(batches, [
      {
        tokens: Int32Array.of(1, 2, 3, 4, 5, /**/ 5, 6, 0, 0, 0, /**/ 8, 9, 0, 0, 0),
        mask: Float32Array.of(0, 1, 1, 1, /**/ 1, 1, 0, 0, /**/ 0, 1, 0, 0),
        documents: Int32Array.of(0, 0, 2),
      },
    ]);
  });

  it("score each token exactly once, at any sizes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 }),
        fc.record({
          sequenceLength: fc.integer({ min: 2, max: 20 }),
          endOfText: fc.constant(0),
          prefixTokens: fc.integer({ min: 0, max: 30 }),
          batchSize: fc.integer({ min: 1, max: 5 }),
        }),
        (lengths, options) => {
          let next = 1;
          const documents = lengths.map((length) => Int32Array.from({ length }, () => next++));
          const scored: number[] = [];
          for (const { tokens, mask, documents: tags } of evaluationBatches(documents, options)) {
            const T = options.sequenceLength;
            assert.ok(tags.length <= options.batchSize);
            assert.equal(tokens.length, tags.length * (T + 1));
            assert.equal(mask.length, tags.length * T);
            for (const [row, tag] of tags.entries()) {
              assert.ok(mask.subarray(row * T, (row + 1) * T).includes(1));
              for (let i = 0; i < T; i++) {
                if (mask[row * T + i] === 0) continue;
                const target = tokens[row * (T + 1) + i + 1]!;
                assert.equal(tokens[row * (T + 1) + i], target - 1);
                assert.ok(documents[tag]!.includes(target));
                scored.push(target);
              }
            }
          }
          const expected = documents.flatMap((document) => [
            ...document.subarray(Math.max(options.prefixTokens, 1)),
          ]);
          assert.deepEqual(scored, expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});
