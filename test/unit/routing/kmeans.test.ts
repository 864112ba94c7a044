import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { CorpusError } from "../../../src/errors.ts";
import { createRandom } from "../../../src/random.ts";
import { pathOf } from "../../../src/routing/features.ts";
import { fitRouter } from "../../../src/routing/kmeans.ts";
import { createRouter, decodeRouter, encodeRouter } from "../../../src/routing/router.ts";

/** Points around `centres`, `each[k]` of centre k, in order. */
function blobs(centres: number[][], each: number[], deviation: number, seed: number): Float32Array[] {
  const random = createRandom("blobs", seed);
  return centres.flatMap((centre, k) =>
    Array.from({ length: each[k]! }, () =>
      Float32Array.from(centre, (value) => value + deviation * random.normal()),
    ),
  );
}

describe("fitting the router", () => {
  it("finds clusters, whatever the features' units, and routes as it assigned", async () => {
    for (let seed = 0; seed < 5; seed++) {
      const corners = [
        [0, 0, 0],
        [8, 0, 0],
        [0, 8, 0],
        [8, 8, 0],
      ];
      const points = blobs(corners, [60, 40, 50, 30], 0.7, seed).map((point) =>
        // One feature in thousands, one in thousandths and one that never changes.
        Float32Array.of(point[0]! * 1000 + 5e4, point[1]! / 1000, 3),
      );
      const fit = await fitRouter(points, { paths: 4, prefixTokens: 32, seed });
      assert.deepEqual(
        fit.sizes.toSorted((a, b) => a - b),
        [30, 40, 50, 60],
      );
      let start = 0;
      for (const size of [60, 40, 50, 30]) {
        assert.equal(new Set(fit.assignments.slice(start, start + size)).size, 1);
        start += size;
      }
      const router = createRouter(decodeRouter(encodeRouter(fit.router).bytes));
      assert.deepEqual(
        points.map((point) => pathOf(router, point)),
        fit.assignments,
      );
    }
  });

  it("is deterministic", async () => {
    const points = blobs(
      [
        [0, 0],
        [1, 1],
      ],
      [50, 50],
      1,
      1,
    );
    const options = { paths: 5, prefixTokens: 32, seed: 9 };
    assert.deepEqual(await fitRouter(points, options), await fitRouter(points, options));
  });

  it("starves no path, even when almost all documents are alike and a few are far away", async () => {
    const points = blobs(
      [
        [0, 0],
        [500, 0],
        [0, 500],
        [500, 500],
      ],
      [397, 1, 1, 1],
      1,
      3,
    );
    const { sizes } = await fitRouter(points, { paths: 4, prefixTokens: 32, seed: 0 });
    assert.equal(sizes.length, 4);
    assert.ok(Math.min(...sizes) >= 10, sizes.join());
  });

  it("always gives every path of the grid a finite centroid and sizes that add up", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })), {
          minLength: 12,
          maxLength: 60,
        }),
        async (paths, rows) => {
          const points = rows.map((row) => Float32Array.from(row));
          const fit = await fitRouter(points, { paths, prefixTokens: 32, seed: 4 });
          assert.equal(
            fit.sizes.reduce((sum, size) => sum + size, 0),
            points.length,
          );
          assert.equal(fit.router.centroids.length, 2 * paths);
          createRouter(decodeRouter(encodeRouter(fit.router).bytes));
        },
      ),
      { numRuns: 100 },
    );
  });

  it("hears an interruption in the middle of a fit", async () => {
    const points = blobs([[0, 0]], [4000], 1, 1);
    const stop = new AbortController();
    const fitting = fitRouter(points, { paths: 64, prefixTokens: 32, seed: 0 }, stop.signal);
    setImmediate(() => stop.abort(new Error("stop")));
    await assert.rejects(fitting, /stop/);
  });

  it("asks for more documents when there are fewer than two a path", async () => {
    const points = blobs([[0, 0]], [7], 1, 1);
    await assert.rejects(
      fitRouter(points, { paths: 4, prefixTokens: 32, seed: 0 }),
      (error: Error) =>
        error instanceof CorpusError && error.message.includes("7 documents for 4 paths and needs 8"),
    );
  });
});
