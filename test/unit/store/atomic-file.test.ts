import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { removeUnfinished, writeAtomically } from "../../../src/store/atomic-file.ts";
import { openDirectory } from "../../../src/store/directory.ts";

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "pathweave-atomic-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test("a file is replaced whole, private to the user, and nothing else is left", async (t) => {
  const folder = await directory(t);
  const file = join(folder, "state.bin");
  const contents = Array.from({ length: 20 }, (_, i) => Buffer.alloc(200_000, i));
  await Promise.all(contents.map((bytes) => writeAtomically(file, bytes)));
  const found = await readFile(file);
  assert.ok(contents.some((bytes) => bytes.equals(found)));
  assert.deepEqual(await readdir(folder), ["state.bin"]);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
});

test("a failed write leaves the old file and no other", async (t) => {
  const folder = await directory(t);
  const file = join(folder, "taken");
  await mkdir(join(file, "below"), { recursive: true });
  await assert.rejects(writeAtomically(file, Buffer.from("x")));
  await assert.rejects(writeAtomically(join(folder, "absent", "file"), Buffer.from("x")), { code: "ENOENT" });
  assert.deepEqual(await readdir(folder), ["taken"]);
});

test("what a killed process had not finished is removed when the directory is opened, and nothing else", async (t) => {
  const folder = await directory(t);
  await (await openDirectory(folder)).close();
  const left = [".identity.key.1.unfinished", "blocks/.X.data.2.unfinished", "state/.a.bin.3.unfinished"];
  for (const name of [...left, "invite"]) await writeFile(join(folder, name), "");
  await (await openDirectory(folder)).close();
  assert.deepEqual((await readdir(folder)).toSorted(), ["blocks", "data", "invite", "state"]);
  assert.deepEqual(await readdir(join(folder, "blocks")), []);
  assert.deepEqual(await readdir(join(folder, "state")), []);
  await removeUnfinished(folder);
});
