import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type RunView, timeLeft } from "../../../../src/swarm/plan/time-left.ts";

const view = (changes: Partial<RunView>): RunView => ({
  roundsLeft: [10, 10],
  tokensPerRound: 1000,
  tokensPerSecond: [100, 100],
  ...changes,
});

const cases: [string, Partial<RunView>, ReturnType<typeof timeLeft>][] = [
  ["two slots and two workers", {}, { state: "left", seconds: 100 }],
  ["one worker for two slots", { tokensPerSecond: [100] }, { state: "left", seconds: 200 }],
  ["more workers than slots", { tokensPerSecond: [100, 50, 100, 20] }, { state: "left", seconds: 100 }],
  ["a slot that is behind", { roundsLeft: [1, 10, 0] }, { state: "left", seconds: 100 }],
  ["half a round", { roundsLeft: [0.5], tokensPerSecond: [100] }, { state: "left", seconds: 5 }],
  ["a worker that has just come", { tokensPerSecond: [100, 0] }, { state: "left", seconds: 100 }],
  ["no worker", { tokensPerSecond: [] }, { state: "unknown", reason: "nobody trains" }],
  [
    "workers that have just started",
    { tokensPerSecond: [0, 0] },
    { state: "unknown", reason: "nobody has finished a round yet" },
  ],
  ["a run that is done", { roundsLeft: [0, 0], tokensPerSecond: [] }, { state: "done" }],
  ["a run without slots", { roundsLeft: [] }, { state: "done" }],
  [
    "a pace that was seen, with all the waiting",
    { pace: { rounds: 5, milliseconds: 100_000 } },
    { state: "left", seconds: 400 },
  ],
  ["too short a pace", { pace: { rounds: 1, milliseconds: 1 } }, { state: "left", seconds: 100 }],
  [
    "a pace of peers that are gone",
    { tokensPerSecond: [], pace: { rounds: 50, milliseconds: 1000 } },
    { state: "unknown", reason: "nobody trains" },
  ],
];
for (const [name, changes, expected] of cases)
  test(`the time left: ${name}`, () => assert.deepEqual(timeLeft(view(changes)), expected));

test("the time left is finite, falls with the work and with more workers", () => {
  const speeds = fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 8 });
  const rounds = fc.array(fc.double({ min: 0.01, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 8 });
  const seconds = (left: number[], speed: number[]): number => {
    const result = timeLeft(view({ roundsLeft: left, tokensPerSecond: speed }));
    assert.ok(result.state === "left" && Number.isFinite(result.seconds) && result.seconds > 0);
    return result.seconds;
  };
  fc.assert(
    fc.property(rounds, speeds, (left, speed) => {
      const all = seconds(left, speed) * (1 + 1e-9);
      assert.ok(
        seconds(
          left.map((value) => value / 2),
          speed,
        ) <= all,
      );
      assert.ok(seconds(left, [...speed, 1]) <= all);
    }),
  );
});
