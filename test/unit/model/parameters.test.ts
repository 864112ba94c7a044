import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ManifestError } from "../../../src/errors.ts";
import {
  elementsOfParts,
  elementsOfPath,
  EMBEDDING,
  initialParameters,
  modelShape,
  parameterSpecs,
} from "../../../src/model/parameters.ts";
import { createRandom } from "../../../src/random.ts";

const config = {
  vocabulary: 64,
  sequenceLength: 16,
  width: 32,
  blocks: 2,
  heads: 4,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};

void test("derives the hidden width and keeps a given one", () => {
  assert.equal(modelShape(config).hidden, 96);
  assert.equal(modelShape({ ...config, width: 256 }).hidden, 704);
  assert.equal(modelShape({ ...config, hidden: 50 }).hidden, 50);
});

void test("refuses heads that do not divide the width into even parts", () => {
  assert.throws(() => modelShape({ ...config, heads: 3 }), ManifestError);
  assert.throws(() => modelShape({ ...config, width: 12, heads: 4 }), ManifestError);
});

void test("lists the tensors of a Llama checkpoint in order", () => {
  assert.deepEqual(
    parameterSpecs(modelShape({ ...config, blocks: 1 })).map(({ name, shape, decay }) => [
      name,
      shape,
      decay,
    ]),
    [
      ["model.embed_tokens.weight", [64, 32], false],
      ["model.layers.0.input_layernorm.weight", [32], false],
      ["model.layers.0.self_attn.q_proj.weight", [32, 32], true],
      ["model.layers.0.self_attn.k_proj.weight", [32, 32], true],
      ["model.layers.0.self_attn.v_proj.weight", [32, 32], true],
      ["model.layers.0.self_attn.o_proj.weight", [32, 32], true],
      ["model.layers.0.post_attention_layernorm.weight", [32], false],
      ["model.layers.0.mlp.gate_proj.weight", [96, 32], true],
      ["model.layers.0.mlp.up_proj.weight", [96, 32], true],
      ["model.layers.0.mlp.down_proj.weight", [32, 96], true],
      ["model.norm.weight", [32], false],
      ["lm_head.weight", [64, 32], true],
    ],
  );
});

void test("lays tensors out without gaps, and parts as consecutive runs", () => {
  const sizes = fc.record({
    vocabulary: fc.integer({ min: 1, max: 99 }),
    blocks: fc.integer({ min: 1, max: 5 }),
    heads: fc.integer({ min: 1, max: 4 }),
    half: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(sizes, ({ vocabulary, blocks, heads, half }) => {
      const shape = modelShape({ ...config, vocabulary, blocks, heads, width: heads * half * 2 });
      const specs = parameterSpecs(shape);
      let end = 0;
      for (const { offset, size, shape: dimensions } of specs) {
        assert.equal(offset, end);
        assert.equal(
          size,
          dimensions.reduce((product, dimension) => product * dimension, 1),
        );
        end += size;
      }
      assert.equal(elementsOfPath(shape), end);
      const runs = specs.map(({ part }) => part).filter((part, i, all) => part !== all[i - 1]);
      const blockParts = Array.from({ length: blocks }, (_, block) => `block ${block}`);
      assert.deepEqual(runs, ["embedding", ...blockParts, "head"]);
      const elements = elementsOfParts(shape);
      assert.deepEqual([...elements.keys()], runs);
      assert.equal(
        [...elements.values()].reduce((sum, size) => sum + size, 0),
        end,
      );
    }),
  );
});

const deviationOf = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

for (const [width, expected] of [
  [32, 0.02 * Math.sqrt(28)],
  [224, 0.04],
  [896, 0.02],
] as const)
  void test(`starts at width ${width} from matrices of deviation ${expected.toFixed(3)}, by their fan-in`, () => {
    const shape = modelShape({ ...config, width, hidden: 64, vocabulary: 512 });
    const parameters = initialParameters(shape, 7);
    for (const { name, offset, size, shape: dimensions } of parameterSpecs(shape)) {
      const values = parameters.subarray(offset, offset + size);
      if (dimensions.length === 1) {
        assert.ok(values.every((value) => value === 1));
        continue;
      }
      // √(2·2 blocks) = 2
      const own = name === EMBEDDING ? 1 : expected / (/o_proj|down_proj/.test(name) ? 2 : 1);
      // Of n normal numbers the deviation is known to 1/√(2n); five of those.
      const error = Math.abs(deviationOf(values) / own - 1);
      assert.ok(error < 5 / Math.sqrt(2 * size), `${name} has deviation ${deviationOf(values)}, not ${own}`);
      assert.ok(Math.abs(values.reduce((a, b) => a + b, 0) / size) < (5 * own) / Math.sqrt(size));
    }
  });

void test("at the paper's width the matrices are those of GPT-2 and Llama, to the last bit", () => {
  const shape = modelShape({ ...config, width: 896, hidden: 32, blocks: 1 });
  const { name, offset, size } = parameterSpecs(shape).find((spec) => spec.name.includes("q_proj"))!;
  const random = createRandom(7, "initial weights", name);
  const expected = Float32Array.from({ length: size }, () => 0.02 * random.normal());
  assert.deepEqual(initialParameters(shape, 7).subarray(offset, offset + size), expected);
});

void test("starts from the same weights for one seed, and from others for another", () => {
  const shape = modelShape(config);
  assert.deepEqual(initialParameters(shape, 7), initialParameters(shape, 7));
  assert.notDeepEqual(initialParameters(shape, 7), initialParameters(shape, 8));
});
