/** The deadline that every test has: see test/preload.ts. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

const HANGING = `
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import { awaited } from ${JSON.stringify(join(root, "test/waits.ts"))};
test("hangs", async (t) => {
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const settled = Promise.withResolvers();
  settled.resolve();
  void once(new EventEmitter(), "arrival");
  void awaited("a word from eve", new Promise(() => {}));
  await Promise.withResolvers().promise;
});
test("goes on", () => {});
`;

const HANGING_PARTS = `
import { test } from "node:test";
const forever = () => Promise.withResolvers().promise;
test("hangs in its end", (t) => { t.after(forever); });
test("hangs before its part", async (t) => {
  t.beforeEach(forever);
  await t.test("never runs", () => {});
});
test("goes on", () => {});
`;

/** Nothing clears what keeps the process alive. */
const HOLDING = `
import { test } from "node:test";
test("holds", async () => {
  setInterval(() => {}, 1000);
  await Promise.withResolvers().promise;
});
test("prints", () => console.log("x".repeat(100_000) + "the end"));
`;

interface Ran {
  status: number | null;
  stdout: string;
}

/** Runs a file of tests whose deadline is half a second. */
async function runFile(t: TestContext, text: string): Promise<Ran> {
  const directory = await mkdtemp(join(tmpdir(), "pathweave-deadline-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, "test"));
  const file = join(directory, "test", "hanging.test.ts");
  await writeFile(file, text);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--import", join(root, "test/preload.ts"), "--test", "--test-reporter=tap", file],
    { env: { ...env, TEST_DEADLINE_SECONDS: "0.5" }, encoding: "utf8", timeout: 60_000 },
  );
  return { status, stdout };
}

test("a test that does not end fails by its deadline, which names what it waits for, and the next goes on", async (t) => {
  const { status, stdout } = await runFile(t, HANGING);
  assert.equal(status, 1);
  const error = /error: '(.*)'/.exec(stdout)?.[1];
  assert.equal(
    error,
    'no end after 0.5 s; it waits for the event "arrival" (test/hanging.test.ts:10); ' +
      "for a word from eve (test/hanging.test.ts:11); for a promise to be resolved (test/hanging.test.ts:12)",
  );
  assert.match(stdout, /^ok 2 - goes on$/m);
});

test("so does what a test registers on its context", async (t) => {
  const { status, stdout } = await runFile(t, HANGING_PARTS);
  assert.equal(status, 1);
  assert.match(stdout, /^not ok 1 - hangs in its end$/m);
  assert.match(stdout, /^not ok 2 - hangs before its part$/m);
  assert.ok(stdout.match(/error: 'no end after 0.5 s; it waits for/g)!.length >= 2, stdout);
  assert.match(stdout, /^ok 3 - goes on$/m);
});

test("a file whose test did not end and left something open ends, with all that it printed", async (t) => {
  const { status, stdout } = await runFile(t, HOLDING);
  assert.equal(status, 1);
  assert.match(stdout, /^not ok 1 - holds$/m);
  assert.match(stdout, /^ok 2 - prints$/m);
  assert.ok(stdout.includes("the end"), "what the last test printed");
  assert.ok(stdout.split("x").length > 100_000);
  assert.match(stdout, /^# fail 1$/m);
});
