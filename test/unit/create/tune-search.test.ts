import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bestTrial, nextRate, type Trial } from "../../../src/create/tune-search.ts";

/** Searches with a loss that is a function of the rate; undefined diverges. */
function search(start: number, lossOf: (rate: number) => number | undefined): Trial[] {
  const trials: Trial[] = [];
  for (let rate = nextRate(start, trials); rate !== undefined; rate = nextRate(start, trials))
    trials.push({ learningRate: rate, steps: 100, loss: lossOf(rate) });
  return trials;
}

/** Lowest at `best`, and diverging from `edge` on. */
const bowl =
  (best: number, edge = Infinity) =>
  (rate: number) =>
    rate >= edge ? undefined : 4 + Math.log2(rate / best) ** 2 / 10;

test("encloses the best rate and comes within a factor of √2 of it, wherever it starts", () => {
  const distance = fc.double({ min: -4, max: 4, noNaN: true });
  const rate = fc.double({ min: 1e-5, max: 1, noNaN: true });
  fc.assert(
    fc.property(rate, distance, (start, octaves) => {
      const best = start * 2 ** octaves;
      const trials = search(start, bowl(best));
      const found = bestTrial(trials)!.learningRate;
      // Two digits are right to 5 %.
      assert.ok(Math.abs(Math.log2(found / best)) < 0.5 + 0.15, `${found} is not near ${best}`);
      const rates = trials.map(({ learningRate }) => learningRate);
      assert.equal(new Set(rates).size, rates.length, "no rate is tried twice");
      assert.ok(Math.min(...rates) < found && found < Math.max(...rates), "the best is enclosed");
      assert.ok(rates.length <= 10, `${rates.length} trials`);
    }),
  );
});

test("the run's own rate is tried as it is, with all its digits", () => {
  assert.equal(nextRate(3.712e-3, []), 3.712e-3);
  assert.ok(search(3.712e-3, bowl(4e-3)).some(({ learningRate }) => learningRate === 3.712e-3));
});

test("begins with the run's own rate and stops after five where that is the best", () => {
  assert.deepEqual(
    search(4e-3, bowl(4e-3)).map(({ learningRate }) => learningRate),
    [4e-3, 8e-3, 2e-3, 5.7e-3, 2.8e-3],
  );
});

test("goes down where training diverges, and takes a rate that diverged for a bound", () => {
  const trials = search(4e-2, bowl(4e-3, 1e-2));
  assert.deepEqual(
    trials.map(({ learningRate }) => learningRate),
    [4e-2, 8e-2, 2e-2, 1e-2, 5e-3, 2.5e-3, 7.1e-3, 3.5e-3],
  );
  assert.equal(bestTrial(trials)?.learningRate, 3.5e-3);
});

test("gives up where every rate diverges", () => {
  const trials = search(1, () => undefined);
  assert.equal(bestTrial(trials), undefined);
  assert.ok(trials.length <= 12);
});
