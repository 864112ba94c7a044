/** What the store may count on, of a real disk and of the one in memory alike. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/log.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { openStore } from "../../../src/store/store.ts";
import { NOBODY } from "./disk.ts";
import { testOnDisks } from "./disks.ts";

const flush = { flush: true };
const sync = { sync: true };
const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

testOnDisks("files are replaced whole, listed and removed", async (open) => {
  const { files, close } = await open();
  assert.equal(await files.read("blocks/aa/x"), undefined);
  assert.equal(await files.facts("blocks/aa/x"), undefined);
  assert.deepEqual(await all(files.list("blocks")), []);
  assert.deepEqual(await all(files.list("nowhere")), []);
  await assert.rejects(files.sync("blocks/aa/x"), { code: "ENOENT" });

  const before = systemClock.wall();
  await files.write("blocks/aa/x", bytes("one"), { flush: false });
  await files.write("blocks/bb/y", bytes("longer"), flush);
  await files.write("blocks/aa/x", bytes("two"), { flush: false });
  await files.sync("blocks/aa/x");
  assert.equal(text(await files.read("blocks/aa/x")), "two");
  const facts = await files.facts("blocks/bb/y");
  assert.equal(facts?.bytes, 6);
  assert.ok(Math.abs(facts.modified - before) < 60_000, "the disk has a clock of its own");
  assert.deepEqual((await all(files.list("blocks"))).toSorted(), ["blocks/aa/x", "blocks/bb/y"]);

  await files.remove("blocks/aa/x");
  await files.remove("blocks/aa/x");
  assert.equal(await files.read("blocks/aa/x"), undefined);
  assert.deepEqual(await all(files.list("blocks")), ["blocks/bb/y"]);
  await close();
});

testOnDisks("one of several writes of a file at once wins, whole", async (open) => {
  const { files, close } = await open();
  const contents = Array.from({ length: 9 }, (_, i) => Buffer.alloc(50_000, i));
  await Promise.all(contents.map((content) => files.write("state/a", content, flush)));
  const found = await files.read("state/a");
  assert.ok(contents.some((content) => content.equals(found!)));
  assert.deepEqual(await all(files.list("state")), ["state/a"]);
  await close();
});

testOnDisks("what was written is there for the next process", async (open) => {
  const first = await open();
  await first.files.write("changes", bytes("3"), { flush: false });
  await first.database.batch([["/a", bytes("1")]], { sync: false });
  await first.close();
  const second = await open();
  assert.equal(text(await second.files.read("changes")), "3");
  assert.equal(text(await second.database.get("/a")), "1");
  await second.close();
});

testOnDisks("changes of the database are made together and read in the order of their keys", async (open) => {
  const { database, close } = await open();
  assert.equal(await database.get("/p/1"), undefined);
  const changes = ["/p/2", "/q", "/p/10", "/p", "/p/1"].map((key) => [key, bytes(key)] as const);
  await database.batch(changes, sync);
  await database.batch(
    [
      ["/p/10", undefined],
      ["/p/3", bytes("three")],
      ["/absent", undefined],
    ],
    sync,
  );
  const entries = await all(database.entries("/p/"));
  assert.deepEqual(
    entries.map(([key, value]) => [key, text(value)]),
    [
      ["/p/1", "/p/1"],
      ["/p/2", "/p/2"],
      ["/p/3", "three"],
    ],
  );
  await close();
});

testOnDisks("a reader of the database sees what was there when it began", async (open) => {
  const { database, close } = await open();
  await database.batch(
    Array.from({ length: 20 }, (_, i) => [`/p/${10 + i}`, bytes("old")] as const),
    sync,
  );
  const seen: string[] = [];
  for await (const [key] of database.entries("/p/")) {
    if (seen.length === 0)
      await database.batch(
        [
          ["/p/29", undefined],
          ["/p/30", bytes("new")],
        ],
        sync,
      );
    seen.push(key);
  }
  assert.equal(seen.length, 20);
  assert.equal(seen.at(-1), "/p/29");
  await close();
});

testOnDisks("a change does not keep what the caller changes later", async (open) => {
  const { files, database, close } = await open();
  const value = Buffer.from("abc");
  const written = [files.write("state/a", value, flush), database.batch([["/a", value]], sync)];
  await Promise.all(written);
  value.fill(0);
  assert.equal(text(await files.read("state/a")), "abc");
  assert.equal(text(await database.get("/a")), "abc");
  await close();
});

testOnDisks("a store keeps blocks, pins and state over a restart", async (open) => {
  const [kept, damaged, loose] = ["kept", "damaged", "loose"].map((name) => rawBlock(bytes(name)));
  const openIt = async () => {
    const opened = await open();
    const log = silentLogger;
    const { store } = await openStore({ ...opened, clock: systemClock, log, source: () => NOBODY });
    return { ...opened, store };
  };
  const first = await openIt();
  await first.store.put([kept!, damaged!, loose!]);
  await first.store.retain("pin", [kept!.cid, damaged!.cid]);
  await first.store.writeState("round", bytes("middle"));
  await first.close();

  const second = await openIt();
  assert.ok(second.store.complete);
  assert.deepEqual(await second.store.pins(), ["pin"]);
  assert.equal(text(await second.store.readState("round")), "middle");
  await second.store.sweep(0);
  assert.equal(await second.store.local(loose!.cid), undefined);
  assert.equal(text(await second.store.local(kept!.cid)), "kept");
  const path = (await all(second.files.list("blocks"))).find((name) => !name.includes("changes"))!;
  const content = Buffer.from((await second.files.read(path))!);
  content[0]! ^= 1;
  await second.files.write(path, content, flush);
  const left = await Promise.all([kept!, damaged!].map(({ cid }) => second.store.local(cid)));
  assert.equal(left.filter((value) => value !== undefined).length, 1, "a block that rotted is gone");
  await second.close();
});

test("two stores on one disk in memory cannot be: the first is over when the second begins", async () => {
  const { MemoryDisk } = await import("../../../src/sim/world/disk.ts");
  const { createRandom } = await import("../../../src/random.ts");
  const disk = new MemoryDisk({ clock: systemClock, random: createRandom(1) });
  const { files } = disk;
  disk.kill();
  const late = files.read("changes").then(() => "answered");
  assert.equal(await Promise.race([late, Promise.resolve().then(() => "deaf")]), "deaf");
});
