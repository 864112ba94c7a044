import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fedadam } from "../../../../src/outer/optimizers/fedadam.ts";

const zeros = (length: number) => ({
  parameters: new Float32Array(length),
  momentum: new Float32Array(length),
  second: new Float32Array(length),
});

test("two steps by hand", () => {
  const config = { learningRate: 0.5, momentum: 0.5, options: { beta2: 0.75, tau: 1 } };
  const first = fedadam.step(zeros(1), Float32Array.of(4), config);
  // m = 0.5 · 4 ; v = 0.25 · 16 ; θ = −0.5 · 2 / (2 + 1)
  assert.deepEqual([first["momentum"], first["second"]], [Float32Array.of(2), Float32Array.of(4)]);
  assert.deepEqual(first.parameters, Float32Array.of(-0.5 * Math.fround(2 / 3)));
  const second = fedadam.step(first, Float32Array.of(-2), config);
  // m = 0.5 · 2 − 0.5 · 2 ; v = 0.75 · 4 + 0.25 · 4
  assert.deepEqual([second["momentum"], second["second"]], [Float32Array.of(0), Float32Array.of(4)]);
  assert.deepEqual(second.parameters, first.parameters);
  assert.deepEqual(Object.keys(second), fedadam.stateNames);
});

test("an element's step does not depend on the size of its gradient, but where that is below tau", () => {
  const { parameters } = fedadam.step(zeros(3), Float32Array.of(1000, 10, 1e-7), {
    learningRate: 1,
    momentum: 0.9,
  });
  assert.ok(Math.abs(parameters[0]! - parameters[1]!) < 2e-3);
  assert.ok(Math.abs(parameters[2]!) < 1e-4);
});

test("options outside of their range are refused, and unknown ones", () => {
  assert.deepEqual(fedadam.options.parse({}), { beta2: 0.99, tau: 1e-3 });
  for (const wrong of [{ beta2: 1 }, { beta2: -0.1 }, { tau: 0 }, { speed: 1 }])
    assert.equal(fedadam.options.safeParse(wrong).success, false);
});

test("has golden bits", () => {
  // Exact binary fractions, so the inputs are the same everywhere. An independent implementation in Python, with
  // struct.pack for every rounding, gave the same digest.
  const ramp = (a: number, b: number): Float32Array =>
    Float32Array.from({ length: 1000 }, (_, i) => (((i * a + b) % 251) - 125) / 1024);
  const state = { parameters: ramp(7, 1), momentum: ramp(11, 2), second: ramp(13, 3).map(Math.abs) };
  const next = fedadam.step(state, ramp(17, 5), { learningRate: 0.1, momentum: 0.9 });
  const hash = createHash("sha256");
  for (const name of fedadam.stateNames) hash.update(new Uint8Array(next[name]!.buffer));
  assert.equal(hash.digest("hex"), "453975f5eb7a7751790a9b43c90bcc1efa4533d0c7dbb4ab3ad252fd8290229a");
});
