import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { generateKeyPair, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import { createLogger } from "../../../src/log.ts";
import { loadIdentity } from "../../../src/net/identity.ts";

async function keyPath(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "pathweave-"));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, "new", "identity.key");
}

test("an identity is created once, readable by its owner only, and stays", async (t) => {
  const path = await keyPath(t);
  const created = await loadIdentity(path);
  assert.equal(created.type, "Ed25519");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const lines: string[] = [];
  const loaded = await loadIdentity(
    path,
    createLogger("warn", (line) => lines.push(line)),
  );
  assert.ok(created.equals(loaded));
  assert.deepEqual(lines, []);
  assert.deepEqual(await readdir(join(path, "..")), ["identity.key"], "no temporary file is left");
});

test("processes that create it at the same time agree on one", async (t) => {
  const path = await keyPath(t);
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(path)));
  for (const key of keys) assert.ok(key.equals(keys[0]));
  assert.deepEqual(await readdir(join(path, "..")), ["identity.key"]);
});

test("wider permissions are warned about, with the command that narrows them", async (t) => {
  const path = await keyPath(t);
  await loadIdentity(path);
  await chmod(path, 0o644);
  const lines: string[] = [];
  await loadIdentity(
    path,
    createLogger("warn", (line) => lines.push(line)),
  );
  assert.equal(lines.length, 1);
  assert.ok(lines[0]!.includes(`chmod 600 ${path}`));
});

test("a corrupt file or a key of another type is refused, never replaced", async (t) => {
  const path = await keyPath(t);
  await loadIdentity(path);
  const rsa = Buffer.from(privateKeyToProtobuf(await generateKeyPair("secp256k1"))).toString("base64");
  for (const content of ["", "not a key", (await readFile(path, "utf8")).slice(0, 20), rsa]) {
    await writeFile(path, content);
    await assert.rejects(loadIdentity(path), {
      name: "StorageError",
      message: `The identity file ${path} does not hold an Ed25519 key; restore it from a backup, or delete it to get a new peer id.`,
    });
    assert.equal(await readFile(path, "utf8"), content);
  }
});

test("a path that cannot be used is named", async (t) => {
  const path = await keyPath(t);
  await loadIdentity(path);
  await assert.rejects(loadIdentity(join(path, "below-a-file")), {
    name: "StorageError",
    message: /identity\.key\/below-a-file cannot be used: .*ENOTDIR/,
  });
});
