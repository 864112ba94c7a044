import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { PathweaveError } from "../../../src/errors.ts";
import { createRandom } from "../../../src/random.ts";
import { sampleToken } from "../../../src/use/sampling.ts";

/** Logits of these probabilities. */
const of = (...probabilities: number[]): Float32Array => Float32Array.from(probabilities, Math.log);
const chosen = (logits: Float32Array, temperature: number, topP: number): Set<number> =>
  new Set(
    Array.from({ length: 1000 }, (_, step) =>
      sampleToken(logits, { temperature, topP }, (step + 0.5) / 1000),
    ),
  );

test("temperature 0 takes the likeliest token, and of equals the lowest id", () => {
  const logits = Float32Array.of(1, 3, -2, 3);
  for (const uniform of [0, 0.5, 0.999]) {
    assert.equal(sampleToken(logits, { temperature: 0, topP: 1 }, uniform), 1);
    assert.equal(sampleToken(logits, { temperature: 0, topP: 0.1 }, uniform), 1);
  }
});

test("at temperature 1 every token comes as often as it is likely", () => {
  const logits = of(0.5, 0.2, 0.3);
  const at = (uniform: number): number => sampleToken(logits, { temperature: 1, topP: 1 }, uniform);
  assert.deepEqual([0, 0.499, 0.501, 0.699, 0.701, 0.999].map(at), [0, 0, 1, 1, 2, 2]);
});

test("a low temperature sharpens, a high one levels", () => {
  const logits = of(0.6, 0.4);
  const share = (temperature: number): number =>
    Array.from({ length: 1000 }, (_, step) =>
      sampleToken(logits, { temperature, topP: 1 }, (step + 0.5) / 1000),
    ).filter((id) => id === 0).length / 1000;
  // 0.6² / (0.6² + 0.4²), and √0.6 / (√0.6 + √0.4).
  assert.ok(Math.abs(share(0.5) - 0.36 / 0.52) < 0.002);
  assert.ok(Math.abs(share(2) - Math.sqrt(0.6) / (Math.sqrt(0.6) + Math.sqrt(0.4))) < 0.002);
  assert.deepEqual(chosen(logits, 1e-30, 1), new Set([0]), "as cold as numbers get");
});

test("top-p keeps the fewest tokens that reach the share", () => {
  const logits = of(0.1, 0.4, 0.2, 0.3);
  assert.deepEqual(chosen(logits, 1, 0.01), new Set([1]));
  assert.deepEqual(chosen(logits, 1, 0.39), new Set([1]));
  assert.deepEqual(chosen(logits, 1, 0.41), new Set([1, 3]));
  assert.deepEqual(chosen(logits, 1, 0.71), new Set([1, 3, 2]));
  assert.deepEqual(chosen(logits, 1, 0.91), new Set([0, 1, 2, 3]));
  assert.deepEqual(chosen(logits, 1, 1), new Set([0, 1, 2, 3]));
});

test("top-p counts at the temperature, and what is kept shares the probability anew", () => {
  // 0.6 and 0.4 become 0.69 and 0.31.
  assert.deepEqual(chosen(of(0.6, 0.4), 0.5, 0.65), new Set([0]));
  const kept = of(0.3, 0.3, 0.4);
  assert.equal(sampleToken(kept, { temperature: 1, topP: 0.6 }, 0.4 / 0.7 - 0.01), 2);
  assert.equal(sampleToken(kept, { temperature: 1, topP: 0.6 }, 0.4 / 0.7 + 0.01), 0);
});

test("of equally likely tokens at the edge of the nucleus the lower ids are kept", () => {
  const logits = new Float32Array(8).fill(1.5);
  assert.deepEqual(chosen(logits, 1, 0.5), new Set([0, 1, 2, 3]));
  assert.deepEqual(chosen(logits, 1, 0.51), new Set([0, 1, 2, 3, 4]));
  assert.deepEqual(chosen(of(0.25, 0.5, 0.25), 1, 0.6), new Set([1, 0]));
});

test("the same seed draws the same ids", () => {
  const logits = Float32Array.from({ length: 50 }, (_, id) => Math.sin(id));
  const draw = (seed: number): number[] => {
    const random = createRandom(seed, "generate");
    return Array.from({ length: 12 }, () =>
      sampleToken(logits, { temperature: 0.9, topP: 0.9 }, random.uniform()),
    );
  };
  assert.deepEqual(draw(7), [34, 38, 14, 45, 6, 28, 45, 1, 32, 3, 32, 20]);
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(8), draw(7));
});

test("whatever the logits, a token of positive probability comes out", () => {
  const logit = fc.float({ noNaN: true, noDefaultInfinity: true });
  const options = fc.record({
    temperature: fc.oneof(fc.constant(0), fc.double({ min: 1e-6, max: 100, noNaN: true })),
    topP: fc.double({ min: 1e-9, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 1, maxLength: 40 }),
      options,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (values, sampling, uniform) => {
        const logits = Float32Array.from(values);
        const id = sampleToken(logits, sampling, uniform);
        const best = Math.max(...logits);
        const weight = sampling.temperature === 0 ? 1 : Math.exp((logits[id]! - best) / sampling.temperature);
        assert.ok(weight > 0);
        if (sampling.temperature === 0) assert.equal(logits[id], best);
      },
    ),
  );
});

test("a model of nonsense is refused by name", () => {
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    assert.throws(
      () => sampleToken(Float32Array.of(0, wrong), { temperature: 1, topP: 1 }, 0.5),
      (error) => error instanceof PathweaveError && /not a finite number/.test(error.message),
    );
});
