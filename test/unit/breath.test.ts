import assert from "node:assert/strict";
import { test } from "node:test";
import { createBreath } from "../../src/breath.ts";
import { isNativeBusy, nativeIdle, nativeWork } from "../../src/native-work.ts";

test("a long computation lets others have their turn, and ends when it is told to", async () => {
  const stop = new AbortController();
  const breath = createBreath(stop.signal);
  let turns = 0;
  const timer = setInterval(() => {
    if (++turns === 3) stop.abort(new Error("enough"));
  }, 1);
  await assert.rejects(async () => {
    for (;;) await breath();
  }, /enough/);
  clearInterval(timer);
  assert.equal(turns, 3);
});

test("a short computation waits for nobody", () => {
  const breath = createBreath();
  assert.equal(breath(), undefined);
});

test("native work is busy until its last call has ended, also in failure", async () => {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  assert.equal(isNativeBusy(), false);
  const calls = [nativeWork(first.promise), nativeWork(second.promise)];
  first.reject(new Error("no"));
  await assert.rejects(calls[0]!, /no/);
  assert.equal(isNativeBusy(), true);
  const idle = nativeIdle();
  second.resolve();
  await idle;
  assert.equal(isNativeBusy(), false);
});
