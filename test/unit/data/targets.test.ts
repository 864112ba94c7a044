import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { encodeShard, openShard } from "../../../src/data/shard.ts";
import { maskedTokens, sequences, usefulWindows } from "../../../src/data/sequences.ts";
import { countTargets, noTargets, requirePathTargets, requireTargets } from "../../../src/data/targets.ts";
import { CorpusError } from "../../../src/errors.ts";

const OPTIONS = { sequenceLength: 64, prefixTokens: 32, maskPrefix: true, paths: 2, replicas: 1 };

const splitOf = (lengths: number[], masked = maskedTokens(OPTIONS)) => {
  const split = noTargets();
  for (const length of lengths) countTargets(split, length, masked);
  return split;
};
const refused =
  (...parts: (string | RegExp)[]) =>
  (error: Error) => {
    assert.ok(error instanceof CorpusError);
    for (const part of parts) assert.match(error.message, new RegExp(part));
    return true;
  };

describe("targets", () => {
  it("are what the loss counts, and windows those that are trained on", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 2, max: 16 }),
        fc.boolean(),
        async (lengths, prefixTokens, sequenceLength, maskPrefix) => {
          const documents = lengths.map((length) =>
            Int32Array.from({ length }, (_, i) => (i === length - 1 ? 0 : 1)),
          );
          const { object, blocks } = encodeShard(documents, { name: "x", endOfText: 0, vocabulary: 2 });
          const open = async (cid: { toString(): string }) =>
            blocks.find((block) => block.cid.toString() === cid.toString())!.bytes;
          const shard = await openShard(object, open, { endOfText: 0, vocabulary: 2 });
          const options = { sequenceLength, prefixTokens, maskPrefix, endOfText: 0 };
          const { windows, targets } = usefulWindows(shard, options);
          if (targets === 0) {
            assert.throws(() => sequences(shard, options), CorpusError);
            return;
          }
          const all = sequences(shard, options);
          assert.equal(all.count, windows.length);
          let counted = 0;
          for (let index = 0; index < all.count; index++)
            counted += all.sequence(index).mask.reduce((sum, weight) => sum + weight, 0);
          assert.equal(targets, counted);
        },
      ),
    );
  });

  it("are wanted of the corpus, of validation, and of each path and replica", () => {
    const long = splitOf(Array.from({ length: 20 }, () => 200));
    const short = splitOf(Array.from({ length: 900 }, () => 6));
    requireTargets(long, long, OPTIONS);
    assert.throws(
      () => requireTargets(short, long, OPTIONS),
      refused(
        "900 training documents with 5400",
        "0 tokens in 0 documents can be trained on",
        "join short records",
      ),
    );
    assert.throws(
      () => requireTargets(splitOf([2000]), long, OPTIONS),
      refused("at least 128 such tokens in 2 documents"),
    );
    assert.throws(
      () => requireTargets(long, short, OPTIONS),
      refused("Of 900 held-out documents none", "32 tokens", "data.validationFraction"),
    );
    assert.throws(() => requireTargets(long, noTargets(), OPTIONS), refused("held out for validation"));
    assert.throws(
      () => requireTargets(long, long, { ...OPTIONS, replicas: 64 }),
      refused("2 paths of 64 replicas", "8192 such tokens"),
    );

    requirePathTargets(1, [200, 200], OPTIONS);
    assert.throws(
      () =>
        requirePathTargets(
          1,
          Array.from({ length: 900 }, () => 6),
          OPTIONS,
        ),
      refused(
        "Path 1 has 900 documents with 5400 tokens",
        "0 tokens in 0 documents",
        "smaller grid",
        "routing.prefixTokens",
      ),
    );
    assert.throws(() => requirePathTargets(0, [], OPTIONS), refused("Path 0 has 0 documents"));
    assert.throws(
      () => requirePathTargets(0, [200, 200], { ...OPTIONS, replicas: 8 }),
      refused("its 8 replicas need", "512"),
    );
    // Without the mask all but the first token of a short record counts.
    requirePathTargets(
      1,
      Array.from({ length: 900 }, () => 6),
      { ...OPTIONS, maskPrefix: false },
    );
  });
});
