/** The time of a simulated world goes on, whatever its machines do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MachineClock } from "../../../../src/sim/world/machine-clock.ts";
import { Timeline } from "../../../../src/sim/world/timeline.ts";

test("timers fire in the order of their times, and of one time in the order in which they were set", async () => {
  const timeline = new Timeline();
  const fired: string[] = [];
  timeline.after(2, () => fired.push("c"));
  timeline.after(1, () => fired.push("a"));
  timeline.after(1, () => fired.push("b"));
  timeline.after(1, () => fired.push("cancelled"))();
  await timeline.run(10);
  assert.deepEqual(fired, ["a", "b", "c"]);
  assert.equal(timeline.now(), 10);
});

test("who waits on a machine for the rest of a time that rounding left gets there", async () => {
  const timeline = new Timeline();
  const { clock } = new MachineClock({ timeline, since: 7_654_321.987, drift: 0 }).open();
  const until = clock.now() + 0.1 + 0.2;
  let looks = 0;
  const wait = (): void => {
    looks++;
    if (clock.now() < until) clock.after((until - clock.now()) / 1e12, wait);
  };
  wait();
  await timeline.run(100);
  assert.ok(looks < 5, `${looks} looks`);
});

test("a world that stands still says so", async () => {
  const timeline = new Timeline();
  const again = (): void => void timeline.after(0, again);
  again();
  await assert.rejects(
    timeline.run(1),
    /timers were due at 0 ms of simulated time: somebody waits for no time/,
  );
});
