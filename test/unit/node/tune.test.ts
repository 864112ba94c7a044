import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { describeTrials } from "../../../node/commands/tune.ts";
import type { Trial } from "../../../src/create/tune-search.ts";

const run = { file: "run.yaml", steps: 320, complete: true, learningRate: 3.7e-3 };

/** Trials with losses by rate; undefined diverged. */
const trials = (losses: Record<string, number | undefined>): Trial[] =>
  Object.entries(losses).map(([rate, loss]) => ({ learningRate: Number(rate), steps: 320, loss }));

/** What stands below the plot. */
const advice = (losses: Record<string, number | undefined>, changes: Partial<typeof run> = {}): string[] => {
  const lines = describeTrials(trials(losses), { ...run, ...changes });
  assert.ok(lines.every((line) => line.length <= 80));
  return lines.slice(lines.indexOf("", 3) + 1);
};

test("ends with the line for the run file", () => {
  assert.deepEqual(advice({ "3.7e-3": 4.2, "8e-3": 4, "1.6e-2": 4.1 }), [
    "For run.yaml, whose rate is 3.7e-3, below its line training:",
    "",
    "  learningRate: 8e-3",
  ]);
});

test("the line is right where the run file has a training block", () => {
  const [line] = advice({ "3.7e-3": 4.2, "8e-3": 4, "1.6e-2": 4.1 }).slice(-1);
  assert.deepEqual(parse(`training:\n${line}\n  rounds: 3\n`), {
    training: { learningRate: 8e-3, rounds: 3 },
  });
});

test("says that the run's own rate was not tried", () => {
  assert.match(advice({ "4e-3": 4.2, "8e-3": 4, "1.6e-2": 4.1 })[0]!, /did not try the run's own rate/);
});

test("says that the run file has the best rate already", () => {
  assert.deepEqual(advice({ "1.9e-3": 4.2, "3.7e-3": 4, "7.4e-3": 4.1 }), [
    "run.yaml has the best rate already, 3.7e-3.",
  ]);
});

test("says that a rate beyond the last one may be better", () => {
  assert.match(advice({ "1e-3": 4.2, "2e-3": 4 })[0]!, /highest of those tried/);
  assert.match(advice({ "1e-3": 4, "2e-3": 4.2 })[0]!, /lowest of those tried/);
});

test("says what is left out when it was stopped", () => {
  assert.match(advice({ "3.7e-3": 4 }, { complete: false })[0]!, /^Stopped before trying all rates/);
  assert.deepEqual(describeTrials([], { ...run, complete: false }), [
    "Stopped before the first rate was done.",
  ]);
});

test("advises lower rates where all diverged", () => {
  assert.deepEqual(advice({ "1e0": undefined }), [
    "Training diverged at every rate. Try lower ones with --rates.",
  ]);
});
