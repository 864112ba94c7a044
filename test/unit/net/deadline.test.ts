import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidObjectError } from "../../../src/errors.ts";
import { reasonOf, withDeadline } from "../../../src/net/deadline.ts";

const never = (): Promise<never> => new Promise(() => {});

test("a task in time gives its result", async () => {
  assert.equal(await withDeadline("It", 1000, undefined, async () => 3), 3);
});

test("a task that ignores its signal is not waited for", async () => {
  await assert.rejects(withDeadline("It", 10, undefined, never), {
    name: "NetworkError",
    message: "It took longer than 0.01 s.",
  });
});

test("the caller's reasons are told apart", async () => {
  await assert.rejects(withDeadline("It", 1000, AbortSignal.timeout(5), never), {
    message: "It took longer than it was given.",
  });
  await assert.rejects(withDeadline("It", 1000, AbortSignal.abort(), never), { message: "It was given up." });
});

test("failures keep their reason, and expected ones their class", async () => {
  const aggregate = new AggregateError([
    new Error("a"),
    new AggregateError([new Error("b"), new Error("a")]),
  ]);
  assert.equal(reasonOf(aggregate), "a; b; a");
  await assert.rejects(
    withDeadline("It", 1000, undefined, () => Promise.reject(aggregate)),
    { name: "NetworkError", message: /^It failed: a; b/ },
  );
  const own = new InvalidObjectError("bad");
  await assert.rejects(
    withDeadline("It", 1000, undefined, () => Promise.reject(own)),
    (error) => error === own,
  );
});
