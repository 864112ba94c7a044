/** The deadline that every test has: see test/preload.ts. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
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

test("a test that does not end fails by its deadline, which names what it waits for, and the next goes on", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "pathweave-deadline-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, "test"));
  const file = join(directory, "test", "hanging.test.ts");
  await writeFile(file, HANGING);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--import", join(root, "test/preload.ts"), "--test", "--test-reporter=tap", file],
    { env: { ...env, TEST_DEADLINE_SECONDS: "0.5" }, encoding: "utf8" },
  );
  assert.equal(status, 1);
  const error = /error: '(.*)'/.exec(stdout)?.[1];
  assert.equal(
    error,
    'no end after 0.5 s; it waits for the event "arrival" (test/hanging.test.ts:10); ' +
      "for a word from eve (test/hanging.test.ts:11); for a promise to be resolved (test/hanging.test.ts:12)",
  );
  assert.match(stdout, /^ok 2 - goes on$/m);
});
