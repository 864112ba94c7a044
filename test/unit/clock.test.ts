import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { type Clock, delay, every, systemClock, timeout } from "../../src/clock.ts";

/** A clock that stands still until it is told to go on. */
function manualClock(): Clock & { advance(milliseconds: number): void } {
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  return {
    now: () => now,
    wall: () => now,
    after(milliseconds, callback) {
      const timer = { at: now + milliseconds, callback };
      timers.push(timer);
      return () => void (timers = timers.filter((other) => other !== timer));
    },
    advance(milliseconds) {
      const end = now + milliseconds;
      for (;;) {
        const [next] = timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
        if (next === undefined) break;
        now = next.at;
        timers = timers.filter((timer) => timer !== next);
        next.callback();
      }
      now = end;
    },
  };
}

test("every calls back at each period until it is cancelled", () => {
  const clock = manualClock();
  const times: number[] = [];
  const cancel = every(clock, 10, () => times.push(clock.now()));
  clock.advance(35);
  cancel();
  clock.advance(100);
  assert.deepEqual(times, [10, 20, 30]);
});

test("a period can be cancelled from within", () => {
  const clock = manualClock();
  let calls = 0;
  const cancel = every(clock, 10, () => {
    calls++;
    cancel();
  });
  clock.advance(100);
  assert.equal(calls, 1);
});

test("a timeout aborts as AbortSignal.timeout does", async () => {
  const clock = manualClock();
  const ours = timeout(clock, 5);
  clock.advance(4);
  assert.equal(ours.aborted, false);
  clock.advance(1);
  const theirs = AbortSignal.timeout(0);
  await once(theirs, "abort");
  const [reason, expected] = [ours.reason as DOMException, theirs.reason as DOMException];
  assert.equal(reason.name, expected.name);
  assert.equal(reason.message, expected.message);
});

test("a delay ends in time, or with its signal's reason", async () => {
  const clock = manualClock();
  const done = delay(clock, 10);
  clock.advance(10);
  await done;
  const stop = new AbortController();
  const stopped = delay(clock, 10, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(stopped, /enough/);
  await assert.rejects(delay(clock, 10, stop.signal), /enough/);
  clock.advance(100);
});

test("the system's clock goes forward and calls back", async () => {
  const before = systemClock.now();
  await delay(systemClock, 5);
  assert.ok(systemClock.now() > before);
  const cancelled = systemClock.after(0, () => assert.fail("it was cancelled"));
  cancelled();
  await delay(systemClock, 1);
});
