import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { CID } from "multiformats/cid";
import type { OuterConfig } from "../../../src/objects/config.ts";
import { rawBlock, rawBlocks } from "../../../src/objects/object.ts";
import { TensorPack } from "../../../src/objects/tensor-pack.ts";
import { Version } from "../../../src/objects/version.ts";
import { decodeTensors, encodeTensors } from "../../../src/outer/codec.ts";
import { createFold, rescaleFactor, shares } from "../../../src/outer/fold.ts";
import { compareContributions } from "../../../src/outer/order.ts";
import type { ModuleState } from "../../../src/outer/optimizers/types.ts";
import type { KnownContribution } from "../../../src/outer/types.ts";
import { createRandom } from "../../../src/random.ts";
import { GENESIS, MODULE, cidOf, contribute, createConfig } from "./history.ts";

const outerOf = (parts: Partial<OuterConfig> = {}): OuterConfig => createConfig(parts).outer;
const shardTokens = (path: number): number => [1000, 3000, 500, 70_000][path]!;
const weightOf = ({ path }: { path: number }): number => shardTokens(path);
const bytesOf = ({ parameters, momentum }: ModuleState): string =>
  Buffer.concat([Buffer.from(parameters.buffer), Buffer.from(momentum!.buffer)]).toString("hex");

/** Reproducible numbers of the size that outer gradients have. */
function numbers(label: string, length: number, scale = 0.01): Float32Array {
  const random = createRandom("fold test", label);
  return Float32Array.from({ length }, () => scale * random.normal());
}

function run(
  parent: ModuleState,
  contributions: readonly KnownContribution[],
  outer: OuterConfig,
  delta: (contribution: KnownContribution) => Float32Array,
): ModuleState {
  const fold = createFold({ parent, contributions, weightOf, outer });
  for (const contribution of fold.order) fold.add(delta(contribution));
  return fold.finish();
}

/** The same update, written plainly in binary64. */
function reference(
  parent: ModuleState,
  contributions: readonly KnownContribution[],
  outer: OuterConfig,
  delta: (contribution: KnownContribution) => Float32Array,
): { parameters: number[]; momentum: number[] } {
  const paths = [...new Set(contributions.map((contribution) => contribution.path))];
  const weight = (path: number): number => (outer.reweigh ? shardTokens(path) : 1);
  const total = paths.reduce((sum, path) => sum + weight(path), 0);
  const average = Array.from(parent.parameters, () => 0);
  for (const contribution of contributions) {
    const copies = contributions.filter((other) => other.path === contribution.path).length;
    const values = [...delta(contribution)];
    const norm = Math.hypot(...values);
    const clip = outer.clipNorm !== null && norm > outer.clipNorm ? outer.clipNorm / norm : 1;
    for (const [i, value] of values.entries())
      average[i] = average[i]! + (weight(contribution.path) / total / copies) * clip * value;
  }
  const squares = paths.reduce((sum, path) => sum + (weight(path) / total) ** 2, 0);
  const rescaled = average.map((value) => value * (outer.rescale === "sqrt" ? Math.sqrt(1 / squares) : 1));
  const momentum = rescaled.map((value, i) => outer.momentum * parent["momentum"]![i]! + value);
  const parameters = rescaled.map(
    (value, i) => parent.parameters[i]! - outer.learningRate * (value + outer.momentum * momentum[i]!),
  );
  return { parameters, momentum };
}

const outerArbitrary = fc
  .record({
    rescale: fc.constantFrom("sqrt" as const, "none" as const),
    reweigh: fc.boolean(),
    clipNorm: fc.constantFrom(null, 0.02, 5),
    learningRate: fc.constantFrom(0.7, 1, 0.1),
    momentum: fc.constantFrom(0.9, 0, 0.5),
  })
  .map(outerOf);
const contributionsArbitrary = fc
  .uniqueArray(
    fc.record({
      round: fc.nat(2),
      path: fc.nat(3),
      replica: fc.nat(1),
      signer: fc.constantFrom("ann", "bob"),
    }),
    { minLength: 1, maxLength: 8, selector: (parts) => JSON.stringify(parts) },
  )
  .map((all) => all.map((parts) => contribute(GENESIS.cid, parts)));

describe("shares", () => {
  const [first, second] = [contribute(GENESIS.cid, { path: 0 }), contribute(GENESIS.cid, { path: 1 })];

  it("follow shard sizes, or are equal without reweighing", () => {
    assert.deepEqual(shares([first, second], { weightOf, outer: outerOf() }), [0.25, 0.75]);
    assert.deepEqual(shares([first, second], { weightOf, outer: outerOf({ reweigh: false }) }), [0.5, 0.5]);
  });

  it("of one path are split equally among its replicas and rounds", () => {
    const replica = contribute(GENESIS.cid, { path: 1, replica: 1 });
    const late = contribute(GENESIS.cid, { path: 1, round: 1 });
    const all = [first, second, replica, late];
    assert.deepEqual(shares(all, { weightOf, outer: outerOf() }), [0.25, 0.25, 0.25, 0.25]);
  });

  it("follow the router version that each contribution names", () => {
    // Of path 1 one half is done by the old table of shards, the other by a new one.
    const replica = contribute(GENESIS.cid, { path: 1, replica: 1 });
    const of = (contribution: KnownContribution): number =>
      contribution === replica ? 1000 : shardTokens(contribution.path);
    // Path 1 weighs (3000 + 1000) / 2, of 3000 in all.
    const expected = [1000 / 3000, 3000 / 6000, 1000 / 6000].map(Math.fround);
    assert.deepEqual(shares([first, second, replica], { weightOf: of, outer: outerOf() }), expected);
    assert.throws(
      () => shares([first], { weightOf: () => undefined, outer: outerOf() }),
      /names a version of the router that the run does not have/,
    );
  });

  it("sum to one", () => {
    fc.assert(
      fc.property(contributionsArbitrary, outerArbitrary, (contributions, outer) => {
        const total = shares(contributions, { weightOf, outer }).reduce((sum, share) => sum + share, 0);
        assert.ok(Math.abs(total - 1) < 1e-6);
      }),
    );
  });

  it("of an empty shard are small but not lost", () => {
    const alone = shares([first], { weightOf: () => 0, outer: outerOf() });
    assert.deepEqual(alone, [1]);
  });
});

describe("rescaling", () => {
  it("is the square root of the number of paths when they weigh the same", () => {
    for (let paths = 1; paths <= 16; paths++) {
      const contributions = Array.from({ length: paths }, (_, path) => contribute(GENESIS.cid, { path }));
      const factor = rescaleFactor(contributions, { weightOf: () => 512, outer: outerOf() });
      assert.equal(factor, Math.fround(Math.sqrt(paths)));
      assert.equal(rescaleFactor(contributions, { weightOf, outer: outerOf({ rescale: "none" }) }), 1);
    }
  });

  it("counts paths, so replicas and repeated work are not amplified", () => {
    const replicas = [0, 1, 2, 3].map((replica) => contribute(GENESIS.cid, { replica }));
    assert.equal(rescaleFactor(replicas, { weightOf, outer: outerOf() }), 1);
  });

  it("keeps the norm of an average of orthogonal outer gradients", () => {
    const contributions = [0, 1, 2, 3].map((path) => contribute(GENESIS.cid, { path }));
    const parent = { parameters: new Float32Array(4), momentum: new Float32Array(4) };
    const outer = outerOf({ reweigh: false, momentum: 0, learningRate: 1 });
    const { parameters } = run(parent, contributions, outer, ({ path }) => {
      const delta = new Float32Array(4);
      delta[path] = 3;
      return delta;
    });
    assert.deepEqual(parameters, new Float32Array(4).fill(-1.5));
    assert.equal(Math.hypot(...parameters), 3);
  });
});

describe("the outer update", () => {
  it("is Nesterov momentum: two steps by hand", () => {
    const outer = outerOf({ learningRate: 0.5, momentum: 0.5, rescale: "none" });
    const first = run(
      { parameters: Float32Array.of(10), momentum: Float32Array.of(0) },
      [contribute(GENESIS.cid)],
      outer,
      () => Float32Array.of(4),
    );
    // b = 4 ; θ = 10 − 0.5·(4 + 0.5·4) = 7
    assert.deepEqual([first["momentum"]![0], first.parameters[0]], [4, 7]);
    const second = run(first, [contribute(GENESIS.cid)], outer, () => Float32Array.of(2));
    // b = 0.5·4 + 2 = 4 ; θ = 7 − 0.5·(2 + 0.5·4) = 5
    assert.deepEqual([second["momentum"]![0], second.parameters[0]], [4, 5]);
  });

  it("agrees with a plain binary64 computation", () => {
    fc.assert(
      fc.property(contributionsArbitrary, outerArbitrary, fc.nat(40), (contributions, outer, length) => {
        const parent = {
          parameters: numbers("parameters", length, 1),
          momentum: numbers("momentum", length),
        };
        const delta = (contribution: KnownContribution): Float32Array =>
          numbers(contribution.cid.toString(), length);
        const state = run(parent, contributions, outer, delta);
        const expected = reference(parent, contributions, outer, delta);
        for (let i = 0; i < length; i++) {
          assert.ok(Math.abs(state.parameters[i]! - expected.parameters[i]!) < 2e-6);
          assert.ok(Math.abs(state["momentum"]![i]! - expected.momentum[i]!) < 1e-6);
        }
      }),
    );
  });

  it("rounds every product and sum once, as stepwise binary32 arithmetic does", () => {
    const { fround } = Math;
    const contributions = [0, 1].map((path) => contribute(GENESIS.cid, { path }));
    const parent = { parameters: numbers("p", 64, 1), momentum: numbers("m", 64) };
    const deltas = [numbers("0", 64), numbers("1", 64)];
    const state = run(parent, contributions, outerOf(), ({ path }) => deltas[path]!);
    const one = new Float32Array(1);
    const f32 = (value: number): number => ((one[0] = value), one[0]);
    const [eta, mu, rho] = [f32(0.7), f32(0.9), f32(4000 / Math.sqrt(1000 ** 2 + 3000 ** 2))];
    for (let i = 0; i < 64; i++) {
      const sum = f32(f32(0.25 * deltas[0]![i]!) + f32(0.75 * deltas[1]![i]!));
      const delta = f32(rho * sum);
      const b = f32(f32(mu * parent.momentum[i]!) + delta);
      const theta = f32(parent.parameters[i]! - f32(eta * f32(delta + f32(mu * b))));
      assert.equal(state["momentum"]![i], fround(b));
      assert.equal(state.parameters[i], theta);
    }
  });

  it("has golden bits", () => {
    const contributions = [
      contribute(GENESIS.cid, { path: 0, cid: cidOf("a") }),
      contribute(GENESIS.cid, { path: 1, cid: cidOf("b") }),
      contribute(GENESIS.cid, { path: 1, replica: 1, cid: cidOf("c") }),
    ];
    // Exact binary fractions, so the inputs need no random numbers. An independent implementation in Python,
    // with struct.pack for every rounding, gave the same digest.
    const ramp = (a: number, b: number): Float32Array =>
      Float32Array.from({ length: 1000 }, (_, i) => (((i * a + b) % 251) - 125) / 1024);
    const state = run(
      { parameters: ramp(7, 1), momentum: ramp(11, 2) },
      contributions,
      outerOf({ clipNorm: 1.5 }),
      ({ path, replica }) => ramp(13 + path, 3 + replica),
    );
    const digest = createHash("sha256").update(bytesOf(state), "hex").digest("hex");
    assert.equal(digest, "6c3b22a80f42ece39fb29aac2c2f88d29c43b811ddd10a35b9bda9e744d51a69");
  });

  it("clips one contribution by its own norm", () => {
    const parent = { parameters: new Float32Array(2), momentum: new Float32Array(2) };
    const outer = outerOf({ clipNorm: 1, momentum: 0, learningRate: 1, rescale: "none", reweigh: false });
    const contributions = [0, 1].map((path) => contribute(GENESIS.cid, { path }));
    const { parameters } = run(parent, contributions, outer, ({ path }) =>
      path === 0 ? Float32Array.of(300, 400) : Float32Array.of(0, 0.5),
    );
    assert.deepEqual(parameters, Float32Array.of(-0.3, -0.65));
  });

  it("does not change its inputs", () => {
    const parent = { parameters: numbers("p", 8), momentum: numbers("m", 8) };
    const before = bytesOf(parent);
    const delta = numbers("d", 8);
    run(parent, [contribute(GENESIS.cid)], outerOf({ clipNorm: 0.001 }), () => delta);
    assert.equal(bytesOf(parent), before);
    assert.deepEqual(delta, numbers("d", 8));
  });
});

describe("consensus by folding", () => {
  it("any order of arrival at any owner gives the same version", () => {
    const sealTensors = (values: Float32Array, codec: string): { cid: CID; bytes: Uint8Array } => {
      const bytes = encodeTensors(values, codec);
      const { cid } = TensorPack.encode({
        codec,
        tensors: [{ name: "weight", shape: [values.length] }],
        elements: values.length,
        bytes: bytes.length,
        chunks: rawBlocks(bytes, 64).map((block) => block.cid),
      });
      return { cid, bytes };
    };
    const publish = (contributions: readonly KnownContribution[], outer: OuterConfig): string => {
      const parent = { parameters: numbers("p", 300, 1), momentum: numbers("m", 300) };
      const fold = createFold({ parent, contributions, weightOf, outer });
      for (const contribution of fold.order) {
        // As it comes off the network: encoded by its peer, decoded here.
        const { bytes } = sealTensors(numbers(contribution.cid.toString(), 300), outer.codec);
        fold.add(decodeTensors(bytes, outer.codec, 300));
      }
      const state = fold.finish();
      return Version.encode({
        module: MODULE,
        generation: 1,
        parent: GENESIS.cid,
        contributions: fold.order.map((contribution) => contribution.cid),
        state: {
          parameters: sealTensors(state.parameters, "f32").cid,
          momentum: sealTensors(state["momentum"]!, "f32").cid,
        },
        tokens: contributions.reduce((sum, contribution) => sum + contribution.tokens, 0),
      }).cid.toString();
    };
    fc.assert(
      fc.property(
        contributionsArbitrary,
        outerArbitrary,
        fc.constantFrom("f32" as const, "bf16" as const, "int8" as const),
        fc.infiniteStream(fc.nat()),
        (contributions, outer, codec, order) => {
          const shuffled = contributions
            .map((contribution) => ({ contribution, at: Number(order.next().value) }))
            .toSorted((a, b) => a.at - b.at)
            .map(({ contribution }) => contribution);
          assert.equal(publish(shuffled, { ...outer, codec }), publish(contributions, { ...outer, codec }));
        },
      ),
    );
  });

  it("the fold order is round, path, replica, then CID bytes", () => {
    const parts = [
      { round: 1, path: 0, replica: 0, cid: rawBlock(Uint8Array.of(1)).cid },
      { round: 0, path: 1, replica: 0, cid: rawBlock(Uint8Array.of(2)).cid },
      { round: 0, path: 0, replica: 1, cid: rawBlock(Uint8Array.of(3)).cid },
      { round: 0, path: 0, replica: 0, cid: rawBlock(Uint8Array.of(4)).cid },
      { round: 0, path: 0, replica: 0, cid: rawBlock(Uint8Array.of(5)).cid },
    ];
    const contributions = parts.map((part) => contribute(GENESIS.cid, part));
    const parent = { parameters: new Float32Array(1), momentum: new Float32Array(1) };
    const { order } = createFold({ parent, contributions, weightOf, outer: outerOf() });
    assert.deepEqual(
      order.map(({ round, path, replica }) => [round, path, replica]),
      [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
      ],
    );
    assert.ok(Buffer.compare(order[0]!.cid.bytes, order[1]!.cid.bytes) < 0);
    fc.assert(
      fc.property(contributionsArbitrary, (all) => {
        for (const a of all)
          for (const b of all) {
            assert.equal(Math.sign(compareContributions(a, b)), -Math.sign(compareContributions(b, a)) + 0);
            assert.equal(compareContributions(a, b) === 0, a === b);
          }
      }),
      { numRuns: 30 },
    );
  });
});

describe("a fold that cannot be done", () => {
  const parent = { parameters: new Float32Array(3), momentum: new Float32Array(3) };
  const one = contribute(GENESIS.cid);
  const start = (outer: Partial<OuterConfig> = {}): ReturnType<typeof createFold> =>
    createFold({ parent, contributions: [one], weightOf, outer: outerOf(outer) });
  const invalid = (message: RegExp) => ({ name: "InvalidObjectError", message });

  it("has no contributions", () => {
    assert.throws(
      () => createFold({ parent, contributions: [], weightOf, outer: outerOf() }),
      invalid(/at least one/),
    );
  });

  it("names the contribution of another size, and can go on with the right one", () => {
    const fold = start();
    assert.throws(() => fold.add(new Float32Array(4)), invalid(/has 4 numbers; the module has 3/));
    fold.add(new Float32Array(3));
    assert.deepEqual(fold.finish(), parent);
  });

  it("names the contribution with numbers that are not finite", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
      for (const clipNorm of [null, 1])
        assert.throws(
          () => start({ clipNorm }).add(Float32Array.of(0, bad, 0)),
          invalid(new RegExp(one.cid.toString())),
        );
  });

  it("overflows, unless contributions are clipped", () => {
    const huge = new Float32Array(3).fill(3e38);
    const fold = start();
    fold.add(huge);
    assert.throws(() => fold.finish(), invalid(/outer\.clipNorm/));
    const clipped = start({ clipNorm: 1 });
    clipped.add(huge);
    assert.ok(clipped.finish().parameters.every((value) => Math.abs(value) < 2));
  });

  it("is not finished before all are added, and takes no more", () => {
    const fold = start();
    assert.throws(() => fold.finish(), /0 of 1/);
    fold.add(new Float32Array(3));
    assert.throws(() => fold.add(new Float32Array(3)), /already has all/);
  });
});
