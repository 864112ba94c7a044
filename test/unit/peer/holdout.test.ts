/**
 * The loss on held-out text decides what is folded, so it must be the same on every machine. The golden file has the
 * bits of some; another version of tfjs that gives others is another protocol.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { openShard, ShardWriter } from "../../../src/data/shard.ts";
import type { TokenizedShard } from "../../../src/data/types.ts";
import { createHoldoutScorer } from "../../../src/peer/holdout.ts";
import { elementsOfPath, modelShape, parameterSpecs } from "../../../src/model/parameters.ts";
import { runConfigSchema } from "../../../src/objects/config.ts";
import { createRandom } from "../../../src/random.ts";
import { patient } from "../../waits.ts";

const golden = new URL("../../golden/holdout-losses.txt", import.meta.url);
const VOCABULARY = 97;
const { model } = runConfigSchema.parse({
  name: "holdout",
  grid: [1],
  levels: [{ name: "model", parts: ["embedding", "blocks 0-1", "head"], choose: "shared" }],
  model: { vocabulary: VOCABULARY, sequenceLength: 24, width: 32, blocks: 2, heads: 2 },
});
const shape = modelShape(model);
const signal = patient;

async function shard(name: string, lengths: number[]): Promise<TokenizedShard> {
  const random = createRandom("holdout", name);
  const writer = new ShardWriter({ name, endOfText: 0, vocabulary: VOCABULARY });
  const all = new Map<string, Uint8Array>();
  const keep = (blocks: { cid: { toString(): string }; bytes: Uint8Array }[]): void => {
    for (const { cid, bytes } of blocks) all.set(cid.toString(), bytes);
  };
  for (const length of lengths)
    keep(
      writer.add(
        Int32Array.from({ length }, (_, i) => (i === length - 1 ? 0 : 1 + random.integer(VOCABULARY - 1))),
      ),
    );
  const { object, blocks } = writer.finish();
  keep(blocks);
  const read = async (cid: { toString(): string }): Promise<Uint8Array> => all.get(cid.toString())!;
  return openShard(object, read, { vocabulary: VOCABULARY, endOfText: 0 });
}

/** Fixed numbers, so that the golden bits tell of the scorer alone. */
function weights(seed: number): Float32Array {
  const parameters = new Float32Array(elementsOfPath(shape));
  for (const { name, shape: dimensions, offset, size } of parameterSpecs(shape)) {
    const random = createRandom(seed, "initial weights", name);
    const deviation = /o_proj|down_proj/.test(name) ? 0.01 : 0.02;
    for (let i = offset; i < offset + size; i++)
      parameters[i] = dimensions.length === 1 ? 1 : deviation * random.normal();
  }
  return parameters;
}

test("the loss on held-out text has the same bits everywhere, of the path's own text or else of the run's", async (t) => {
  const holdouts = [await shard("path 0", [40, 9, 61]), await shard("path 1", [5, 5])];
  const validation = await shard("validation", [80, 33]);
  const scorer = createHoldoutScorer({
    shape,
    sequences: 3,
    prefixTokens: 8,
    holdout: async (path) => holdouts[path]!,
    validation: async () => validation,
  });
  t.after(() => scorer.close());
  const lines: string[] = [];
  for (const path of [0, 1])
    for (const seed of [1, 2]) {
      const loss = await scorer.score(path, weights(seed), signal);
      const bits = Buffer.alloc(8);
      bits.writeDoubleBE(loss);
      lines.push(`path ${path}, weights of seed ${seed}: ${loss} ${bits.toString("hex")}`);
    }
  const text = `${lines.join("\n")}\n`;
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(golden, text);
  assert.equal(text, await readFile(golden, "utf8"));
  assert.notEqual(lines[0], lines[2]);
});

test("a scorer that is closed starts nothing", async () => {
  const text = await shard("path 0", [40]);
  const scorer = createHoldoutScorer({
    shape,
    sequences: 3,
    prefixTokens: 8,
    holdout: async () => text,
    validation: async () => text,
  });
  await scorer.close();
  await assert.rejects(scorer.score(0, weights(1), signal), { name: "UnavailableError" });
});
