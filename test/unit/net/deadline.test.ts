import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidObjectError } from "../../../src/errors.ts";
import { systemClock } from "../../../src/clock.ts";
import { beforeAbort, reasonOf, withDeadline } from "../../../src/net/deadline.ts";

const never = (): Promise<never> => new Promise(() => {});

test("a task in time gives its result", async () => {
  assert.equal(await withDeadline(systemClock, "It", 1000, undefined, async () => 3), 3);
});

test("a task that ignores its signal is not waited for", async () => {
  await assert.rejects(withDeadline(systemClock, "It", 10, undefined, never), {
    name: "NetworkError",
    message: "It took longer than 0.01 s.",
  });
});

test("the caller's reasons are told apart", async () => {
  await assert.rejects(withDeadline(systemClock, "It", 1000, AbortSignal.timeout(5), never), {
    message: "It took longer than it was given.",
  });
  await assert.rejects(withDeadline(systemClock, "It", 1000, AbortSignal.abort(), never), {
    message: "It was given up.",
  });
});

test("failures keep their reason, and expected ones their class", async () => {
  const aggregate = new AggregateError([
    new Error("a"),
    new AggregateError([new Error("b"), new Error("a")]),
  ]);
  assert.equal(reasonOf(aggregate), "a; b; a");
  await assert.rejects(
    withDeadline(systemClock, "It", 1000, undefined, () => Promise.reject(aggregate)),
    { name: "NetworkError", message: /^It failed: a; b/ },
  );
  const own = new InvalidObjectError("bad");
  await assert.rejects(
    withDeadline(systemClock, "It", 1000, undefined, () => Promise.reject(own)),
    (error) => error === own,
  );
});

test("an iterable that ignores the signal is left when it fires, with what it yielded before", async () => {
  const stop = new AbortController();
  const seen: number[] = [];
  const source = {
    async *[Symbol.asyncIterator]() {
      yield 1;
      stop.abort(new Error("enough"));
      await new Promise(() => {});
    },
  };
  const reading = async (): Promise<void> => {
    for await (const value of beforeAbort(source, stop.signal)) seen.push(value);
  };
  await assert.rejects(reading(), /enough/);
  assert.deepEqual(seen, [1]);
  await assert.rejects(reading(), /enough/, "and not begun once it has fired");
});

test("an iterable that ends by itself ends, and is told when nobody reads on", async () => {
  let ended = 0;
  async function* source(): AsyncGenerator<number> {
    try {
      yield 1;
      yield 2;
    } finally {
      ended++;
    }
  }
  const { signal } = new AbortController();
  const values: number[] = [];
  for await (const value of beforeAbort(source(), signal)) values.push(value);
  assert.deepEqual(values, [1, 2]);
  for await (const value of beforeAbort(source(), signal)) {
    assert.equal(value, 1);
    break;
  }
  assert.equal(ended, 2);
});
