import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type BatchOptions, createBatches, sequences } from "../../../src/data/sequences.ts";
import { encodeShard, openShard } from "../../../src/data/shard.ts";
import type { TokenizedShard } from "../../../src/data/types.ts";
import type { Batch } from "../../../src/engine/types.ts";
import { CorpusError } from "../../../src/errors.ts";

const VOCABULARY = 50_000;

/** A shard whose documents have the given lengths, end-of-text included, and whose ids are all different. */
async function shardOf(lengths: number[]): Promise<TokenizedShard> {
  let next = 1;
  const documents = lengths.map((length) =>
    Int32Array.from({ length }, (_, i) => (i === length - 1 ? 0 : next++)),
  );
  const { object, blocks } = encodeShard(documents, { name: "test", endOfText: 0, vocabulary: VOCABULARY });
  const bytes = new Map(blocks.map((block) => [block.cid.toString(), block.bytes]));
  return openShard(object, async (cid) => bytes.get(cid.toString())!, {
    vocabulary: VOCABULARY,
    endOfText: 0,
  });
}

const options = (change: Partial<BatchOptions> = {}): BatchOptions => ({
  sequenceLength: 8,
  endOfText: 0,
  prefixTokens: 3,
  maskPrefix: true,
  batchSize: 4,
  seed: 1,
  ...change,
});

const lengthsArbitrary = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 });

describe("sequences", () => {
  it("mask the prefix and the step into a document, and nothing else", async () => {
    // Positions: document 0 is 0..5 (0 ends it at 5), document 1 is 6..16.
    const shard = await shardOf([6, 11]);
    const all = sequences(shard, options());
    assert.equal(all.count, 2);
    assert.deepEqual(all.sequence(0), {
      tokens: Int32Array.of(1, 2, 3, 4, 5, 0, 6, 7, 8),
      // Targets 1..8: 1, 2 prefix; 3, 4 and end-of-text count; 6, 7, 8 are document 1's prefix.
      mask: Float32Array.of(0, 0, 1, 1, 1, 0, 0, 0),
    });
    assert.deepEqual(all.sequence(1), {
      tokens: Int32Array.of(8, 9, 10, 11, 12, 13, 14, 15, 0),
      mask: Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1),
    });
    const open = sequences(shard, options({ maskPrefix: false }));
    assert.deepEqual(open.sequence(0).mask, Float32Array.of(1, 1, 1, 1, 1, 0, 1, 1));
  });

  it("count every token that may be counted once, each with the tokens before it as input", async () => {
    await fc.assert(
      fc.asyncProperty(
        lengthsArbitrary,
        fc.integer({ min: 2, max: 16 }),
        fc.integer({ min: 1, max: 12 }),
        fc.boolean(),
        async (lengths, sequenceLength, prefixTokens, maskPrefix) => {
          const shard = await shardOf(lengths);
          const masked = maskPrefix ? prefixTokens : 1;
          // In the last window's rest nothing is used, unless the shard is shorter than one window.
          const used = Math.max(1, Math.floor((shard.tokens - 1) / sequenceLength)) * sequenceLength + 1;
          const expected: number[] = [];
          for (let document = 0; document < shard.documents; document++)
            for (let at = shard.offset(document) + masked; at < shard.offset(document + 1); at++)
              if (at < used) expected.push(at);
          const setting = options({ sequenceLength, prefixTokens, maskPrefix });
          if (expected.length === 0) {
            assert.throws(() => sequences(shard, setting), CorpusError);
            return;
          }
          const all = shard.slice(0, shard.tokens);
          const positionOf = new Map(
            Array.from(all, (id, at) => [id, at] as const).filter(([id]) => id !== 0),
          );
          const cut = sequences(shard, setting);
          const seen: number[] = [];
          for (let index = 0; index < cut.count; index++) {
            const { tokens, mask } = cut.sequence(index);
            assert.ok(mask.some((weight) => weight === 1));
            // Documents of one token are end-of-text alone; find the window by any other id.
            const anchor = tokens.findIndex((id) => id !== 0);
            const start = positionOf.get(tokens[anchor]!)! - anchor;
            assert.deepEqual(
              tokens.subarray(0, shard.tokens - start),
              all.slice(start, start + sequenceLength + 1),
            );
            for (const [i, weight] of mask.entries()) if (weight === 1) seen.push(start + i + 1);
          }
          assert.deepEqual(seen, expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("fill up a shard that is shorter than one", async () => {
    const all = sequences(await shardOf([5]), options());
    assert.equal(all.count, 1);
    assert.deepEqual(all.sequence(0), {
      tokens: Int32Array.of(1, 2, 3, 4, 0, 0, 0, 0, 0),
      mask: Float32Array.of(0, 0, 1, 1, 0, 0, 0, 0),
    });
  });

  it("refuse a shard with nothing to learn", async () => {
    await assert.rejects(async () => sequences(await shardOf([]), options()), CorpusError);
    await assert.rejects(async () => sequences(await shardOf([3, 2, 3, 1]), options()), CorpusError);
  });
});

describe("batches", () => {
  it("are a pure function of the step: a resumed or taken-over round sees the same data", async () => {
    const shard = await shardOf([90, 70, 33, 120, 64]);
    const whole: Batch[] = [];
    for (const batch of createBatches(shard, options()).from(0)) {
      whole.push(batch);
      if (whole.length === 60) break;
    }
    fc.assert(
      fc.property(fc.array(fc.nat(59), { minLength: 1, maxLength: 40 }), (steps) => {
        const other = createBatches(shard, options());
        for (const step of steps) assert.deepEqual(other.batchAt(step), whole[step]);
      }),
    );
    assert.deepEqual(createBatches(shard, options()).from(17).next().value, whole[17]);
  });

  it("visit each sequence once an epoch, in another order each epoch and for each seed", async () => {
    const shard = await shardOf([90, 70, 33, 120, 64]);
    const batches = createBatches(shard, options({ batchSize: 1 }));
    const epoch = (source: typeof batches, number: number): string[] =>
      Array.from({ length: source.sequences }, (_, i) =>
        source.batchAt(number * source.sequences + i).tokens.join(),
      );
    const first = epoch(batches, 0);
    assert.equal(new Set(first).size, batches.sequences);
    assert.notDeepEqual(epoch(batches, 1), first);
    assert.deepEqual(epoch(batches, 1).toSorted(), first.toSorted());
    assert.notDeepEqual(epoch(createBatches(shard, options({ batchSize: 1, seed: 2 })), 0), first);
  });

  it("never give two replicas the same sequence in an epoch", async () => {
    const shard = await shardOf([90, 70, 33, 120, 64]);
    const replicas = [0, 1, 2].map((replica) =>
      createBatches(shard, options({ batchSize: 1, replica, replicas: 3 })),
    );
    const steps = Math.floor(replicas[0]!.sequences / 3);
    const seen = replicas.flatMap((batches) =>
      Array.from({ length: steps }, (_, step) => batches.batchAt(step).tokens.join()),
    );
    assert.equal(new Set(seen).size, 3 * steps);
  });

  it("have the engine's shape", async () => {
    const batch: Batch = createBatches(await shardOf([90]), options()).batchAt(0);
    assert.equal(batch.tokens.length, 4 * 9);
    assert.equal(batch.mask.length, 4 * 8);
  });
});
