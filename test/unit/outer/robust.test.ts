/** Clipping by the median and robust averages: bit-exact, in any order, and out of reach of a minority. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { OuterConfig } from "../../../src/objects/config.ts";
import { createFold } from "../../../src/outer/fold.ts";
import type { ModuleState } from "../../../src/outer/optimizers/types.ts";
import type { KnownContribution } from "../../../src/outer/types.ts";
import { createRandom } from "../../../src/random.ts";
import { contribute, createConfig, GENESIS } from "./history.ts";

const ROBUST = ["none", "trimmed-mean", "centred-clipping"] as const;
const weightOf = ({ path }: { path: number }): number => [1000, 3000, 500, 70_000][path]!;
const outerOf = (parts: Partial<OuterConfig>): OuterConfig => createConfig(parts).outer;
/** The state is then the average itself, with the opposite sign. */
const PLAIN = { momentum: 0, learningRate: 1, rescale: "none", reweigh: false } as const;

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

function averageOf(deltas: number[][], outer: Partial<OuterConfig>): number[] {
  const zeros = (): Float32Array => new Float32Array(deltas[0]!.length);
  const contributions = deltas.map((_, replica) => contribute(GENESIS.cid, { replica }));
  const { parameters } = run(
    { parameters: zeros(), momentum: zeros() },
    contributions,
    outerOf({ ...PLAIN, ...outer }),
    ({ replica }) => Float32Array.from(deltas[replica]!),
  );
  return [...parameters].map((value) => -value);
}

const norm = (values: Iterable<number>): number => Math.hypot(...values);
const close = (actual: number[], expected: number[], within = 1e-5): void => {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - expected[i]!) < within, `${value} is ${expected[i]}`);
};

describe("robust folds", () => {
  it("have golden bits", () => {
    // An independent implementation in Python, with struct.pack for every rounding, gave the same digests.
    const ramp = (a: number, b: number): Float32Array =>
      Float32Array.from({ length: 1000 }, (_, i) => (((i * a + b) % 251) - 125) / 1024);
    const contributions = [0, 1, 2, 3].map((path) => contribute(GENESIS.cid, { path }));
    const digestOf = (outer: Partial<OuterConfig>): string => {
      const { parameters, momentum } = run(
        { parameters: ramp(7, 1), momentum: ramp(11, 2) },
        contributions,
        outerOf(outer),
        // One gradient is far too large.
        ({ path }) => ramp(13 + path, 3).map((value) => (path === 2 ? 64 * value : value)),
      );
      const hash = createHash("sha256").update(new Uint8Array(parameters.buffer));
      return hash.update(new Uint8Array(momentum!.buffer)).digest("hex");
    };
    assert.deepEqual(
      ROBUST.map((robust) => digestOf({ robust })),
      [
        "4cab79c349100c54cd921e5faec562785fcac6fa33b8a0206a84fc1bbce32fce",
        "bc068ce40fa0b793fc5bd85a354bcc7e08894435b01c3c9ce18ff61fbd0fd210",
        "fedd581b54900a61f785efcaf6b60ee5a1d38827e68812226f3d32ee500e12f9",
      ],
    );
    assert.deepEqual(
      ROBUST.map((robust) => digestOf({ robust, clipMedian: 1.5 })),
      [
        "ff20a4e45b610f1677665c653479eeaac276c064bc287952a08a012f7458764c",
        "887a8fbe724394cbf268b566f2cff2aeb14300a48f00132ea49b30b4be581881",
        "8df553921b6a7dc960c49e07b283826365eefe28a774aebf0e8ea9ed6fc617c8",
      ],
    );
  });

  it("give the same bits in any order of arrival", () => {
    const parts = fc.record({ round: fc.nat(1), path: fc.nat(3), signer: fc.constantFrom("ann", "bob") });
    const sets = fc.uniqueArray(parts, {
      minLength: 1,
      maxLength: 9,
      selector: (each) => JSON.stringify(each),
    });
    const orders = fc.array(fc.nat(), { minLength: 9, maxLength: 9 });
    const policy = fc.record({
      robust: fc.constantFrom(...ROBUST),
      clipMedian: fc.constantFrom(1, 2, 4),
      clipNorm: fc.constantFrom(null, 0.05),
    });
    fc.assert(
      fc.property(sets, orders, policy, (set, order, outer) => {
        const contributions = set.map((each) => contribute(GENESIS.cid, each));
        const shuffled = contributions
          .map((contribution, i) => ({ contribution, at: order[i]! }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ contribution }) => contribution);
        const delta = ({ cid }: KnownContribution): Float32Array => {
          const random = createRandom("robust test", cid.toString());
          return Float32Array.from({ length: 50 }, () => 0.01 * random.normal());
        };
        const parent = { parameters: new Float32Array(50), momentum: new Float32Array(50) };
        assert.deepEqual(
          run(parent, shuffled, outerOf(outer), delta),
          run(parent, contributions, outerOf(outer), delta),
        );
      }),
    );
  });

  it("without outliers change little, and alone or in pairs nothing", () => {
    for (const robust of ROBUST)
      for (const deltas of [
        [[1, 2]],
        [
          [1, 2],
          [30, -4],
        ],
      ])
        assert.deepEqual(
          averageOf(deltas, { robust, clipMedian: 1 }),
          averageOf(deltas, {}),
          `${robust} of ${deltas.length}`,
        );
    const alike = [
      [1, 1],
      [1.1, 0.9],
      [0.9, 1.1],
      [1, 1],
    ];
    for (const robust of ROBUST) close(averageOf(alike, { robust, clipMedian: 4 }), [1, 1], 0.01);
  });

  it("keep a minority of any size and sign near the majority", () => {
    const honest = fc.array(fc.tuple(fc.double({ min: 0.5, max: 1.5, noNaN: true }), fc.constant(1)), {
      minLength: 3,
      maxLength: 6,
    });
    const evil = fc.tuple(
      fc.double({ min: -1e4, max: 1e4, noNaN: true }),
      fc.double({ min: -1e4, max: 1e4, noNaN: true }),
    );
    fc.assert(
      fc.property(honest, evil, fc.constantFrom("trimmed-mean", "centred-clipping"), (all, bad, robust) => {
        const [x, y] = averageOf([...all, bad], { robust });
        assert.ok(Math.hypot(x! - 1, y! - 1) < 1.2, `${x}, ${y}`);
      }),
    );
  });
});

describe("clipping by the median", () => {
  it("shortens what is longer than the multiple, and keeps its direction", () => {
    const deltas = [
      [3, 4],
      [4, 3],
      [0, 5],
      [3000, 4000],
    ];
    // The lower median is 5, so the last is cut to 10.
    close(averageOf(deltas, { clipMedian: 2 }), [13 / 4, 20 / 4]);
    close(averageOf(deltas, {}), [3007 / 4, 4012 / 4]);
  });

  it("limits the pull of any one contribution, whatever its size", () => {
    const size = fc.double({ min: 0, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(size, (huge) => {
        const average = averageOf(
          [
            [1, 0],
            [1, 0],
            [1, 0],
            [0, huge],
          ],
          { clipMedian: 4 },
        );
        assert.ok(norm(average) <= norm([0.75, 1]) + 1e-6);
      }),
    );
  });

  it("works along with a fixed limit: the lower of both counts", () => {
    const deltas = [[1], [1], [1], [100]];
    close(averageOf(deltas, { clipMedian: 4, clipNorm: 50 }), [7 / 4]);
    close(averageOf(deltas, { clipMedian: 4, clipNorm: 2 }), [5 / 4]);
    close(averageOf(deltas, { clipMedian: 1000, clipNorm: 0.5 }), [2 / 4]);
  });
});

describe("the trimmed mean", () => {
  it("drops the lowest and the highest quarter of each element, and weighs the rest by share", () => {
    const column = (...values: number[]): number[][] => values.map((value) => [value]);
    close(averageOf(column(1, 2, 3), { robust: "trimmed-mean" }), [2]);
    close(averageOf(column(9, 1, 2, 3), { robust: "trimmed-mean" }), [2.5]);
    close(averageOf(column(9, 8, 1, 2, 3), { robust: "trimmed-mean" }), [3]);
    close(averageOf(column(1, 2, 3, 4, 5, 6, 7, 80), { robust: "trimmed-mean" }), [4.5]);
    const contributions = [0, 1, 2, 3].map((path) => contribute(GENESIS.cid, { path }));
    const outer = outerOf({ ...PLAIN, reweigh: true, robust: "trimmed-mean" });
    const parent = { parameters: new Float32Array(1), momentum: new Float32Array(1) };
    // Paths 1 and 2 are left, with 3000 and 500 tokens.
    const { parameters } = run(parent, contributions, outer, ({ path }) =>
      Float32Array.of([-50, 1, 8, 50][path]!),
    );
    close([...parameters], [-2]);
  });
});
