import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { InvalidObjectError } from "../../../src/errors.ts";
import { RouterObject } from "../../../src/objects/data.ts";
import { createRouter, decodeRouter, encodeRouter, type KMeansRouter } from "../../../src/routing/router.ts";

const ROUTER: KMeansRouter = {
  prefixTokens: 32,
  mean: Float32Array.of(10, 0),
  scale: Float32Array.of(5, 1),
  centroids: Float32Array.of(0, 0, 1, 0, 0, 1),
};
const open = (router: KMeansRouter) => createRouter(decodeRouter(encodeRouter(router).bytes));

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

describe("the router", () => {
  it("ranks paths by distance in standardised features, ties to the lower path", () => {
    const router = open(ROUTER);
    assert.deepEqual([router.paths, router.width, router.prefixTokens], [3, 2, 32]);
    assert.deepEqual(router.rank(Float32Array.of(10, 0)), [0, 1, 2]);
    assert.deepEqual(router.rank(Float32Array.of(15, 0)), [1, 0, 2]);
    assert.deepEqual(router.rank(Float32Array.of(10, 3)), [2, 0, 1]);
    assert.throws(() => router.rank(Float32Array.of(1)), RangeError);
    assert.throws(() => router.rank(Float32Array.of(Number.NaN, 0)), RangeError);
  });

  it("ranks every path once, nearest first, after any round trip", () => {
    const value = fc.float({ min: -1000, max: 1000, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 8 }),
        fc.infiniteStream(value),
        (width, paths, stream) => {
          const take = (count: number): Float32Array => Float32Array.from(stream.take(count));
          const router: KMeansRouter = {
            prefixTokens: 4,
            mean: take(width),
            scale: take(width).map((x) => Math.abs(x) + 0.5),
            centroids: take(paths * width),
          };
          const point = take(width);
          const ranked = open(router).rank(point);
          assert.deepEqual(
            ranked.toSorted((a, b) => a - b),
            [...Array(paths).keys()],
          );
          const distances = ranked.map((path) => {
            let sum = 0;
            for (let i = 0; i < width; i++)
              sum +=
                ((point[i]! - router.mean[i]!) / router.scale[i]! - router.centroids[path * width + i]!) ** 2;
            return sum;
          });
          assert.deepEqual(
            distances,
            distances.toSorted((a, b) => a - b),
          );
        },
      ),
    );
  });

  it("has pinned bytes", () => {
    assert.equal(
      encodeRouter(ROUTER).cid.toString(),
      "bafyreibamtsgz7m3rx2a3346qz4q2d77mimhvyou5y2qyyadlottqcy6by",
    );
  });
});

describe("a hostile router", () => {
  const good = RouterObject.decode(encodeRouter(ROUTER).bytes);
  const cases: Record<string, Partial<RouterObject>> = {
    "claims more paths": { paths: 4 },
    "claims no paths": { paths: 0, centroids: floats() },
    "claims no features": { features: 0, mean: floats(), scale: floats(), centroids: floats() },
    "claims 2^50 features": { features: 2 ** 50 },
    "has no prefix": { prefixTokens: 0 },
    "has a short mean": { mean: floats(1) },
    "has a mean that is not a number": { mean: floats(Number.NaN, 0) },
    "has an infinite centroid": { centroids: floats(0, 0, 1, 0, 0, Number.POSITIVE_INFINITY) },
    "has a scale of zero": { scale: floats(1, 0) },
    "has a negative scale": { scale: floats(1, -1) },
    "has bytes that are not whole floats": { mean: Uint8Array.of(1, 2, 3) },
  };
  for (const [what, change] of Object.entries(cases))
    it(`is refused when it ${what}`, () => {
      const { bytes } = RouterObject.encode({ ...good, ...change });
      assert.throws(() => decodeRouter(bytes), InvalidObjectError);
      assert.throws(() => createRouter({ ...good, ...change }), InvalidObjectError);
    });

  it("is refused when its bytes are cut, changed or of another kind", () => {
    const { bytes } = encodeRouter(ROUTER);
    for (let length = 0; length < bytes.length; length += 7)
      assert.throws(() => decodeRouter(bytes.subarray(0, length)), InvalidObjectError);
    assert.throws(() => decodeRouter(Uint8Array.of(0xa0)), InvalidObjectError);
  });

  it("cannot be made either", () => {
    assert.throws(() => encodeRouter({ ...ROUTER, scale: Float32Array.of(1, 0) }), InvalidObjectError);
    assert.throws(
      () => encodeRouter({ ...ROUTER, centroids: new Float32Array(1 << 20) }),
      InvalidObjectError,
    );
  });
});
