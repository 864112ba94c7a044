import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../../../src/clock.ts";
import { StorageError } from "../../../../src/errors.ts";
import { rawBlock } from "../../../../src/objects/object.ts";
import { createRandom } from "../../../../src/random.ts";
import { type DiskOperation, MemoryDisk } from "../../../../src/sim/world/disk.ts";
import { blockPath } from "../../../../src/store/layout.ts";
import { openStore } from "../../../../src/store/store.ts";
import { NOBODY } from "../../store/disk.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();
const diskOf = (seed: number, onOperation?: (operation: DiskOperation) => void): MemoryDisk =>
  new MemoryDisk({ clock: systemClock, random: createRandom(seed), ...(onOperation && { onOperation }) });

/** What crashes with many seeds leave of what `write` does. */
async function leftovers<T>(
  write: (disk: MemoryDisk) => Promise<unknown>,
  read: (disk: MemoryDisk) => Promise<T>,
): Promise<Set<T>> {
  const found = new Set<T>();
  for (let seed = 0; seed < 200; seed++) {
    const disk = diskOf(seed);
    await write(disk);
    disk.crash();
    found.add(await read(disk));
  }
  return found;
}

test("a loss of power leaves of a file that was not flushed the old one, the new one, or a part of it", async () => {
  const found = await leftovers(
    async ({ files }) => {
      await files.write("a", bytes("old"), { flush: true });
      await files.write("a", bytes("12"), { flush: false });
    },
    async ({ files }) => text(await files.read("a")),
  );
  assert.deepEqual([...found].toSorted(), ["", "1", "12", "old"]);
});

test("what was flushed stays", async () => {
  const write = async ({ files, database }: MemoryDisk): Promise<void> => {
    await files.write("a", bytes("one"), { flush: true });
    await files.write("b", bytes("two"), { flush: false });
    await files.sync("b");
    await database.batch([["/a", bytes("1")]], { sync: false });
    await database.batch([["/b", bytes("2")]], { sync: true });
  };
  const found = await leftovers(write, async ({ files, database }) =>
    [await files.read("a"), await files.read("b"), await database.get("/a"), await database.get("/b")]
      .map(text)
      .join(),
  );
  assert.deepEqual([...found], ["one,two,1,2"]);
});

test("changes of the database are lost from the last one on, each whole", async () => {
  const found = await leftovers(
    async ({ database }) => {
      for (let i = 0; i < 3; i++)
        await database.batch(
          [
            ["/a", bytes(String(i))],
            ["/b", bytes(String(i))],
          ],
          { sync: false },
        );
    },
    async ({ database }) => `${text(await database.get("/a"))}${text(await database.get("/b"))}`,
  );
  assert.deepEqual([...found].toSorted(), ["00", "11", "22", "undefinedundefined"]);
});

test("a killed process hears nothing any more, and what it had written is there for the next", async () => {
  const disk = diskOf(1);
  const { files, database } = disk;
  await files.write("a", bytes("unflushed"), { flush: false });
  await database.batch([["/a", bytes("1")]], { sync: false });
  const begun = files.write("b", bytes("late"), { flush: true }).then(() => "answered");
  disk.kill();
  const asked = database.get("/a").then(() => "answered");
  const turns = async (): Promise<string> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    return "silence";
  };
  assert.equal(await Promise.race([begun, asked, turns()]), "silence");
  assert.equal(text(await disk.files.read("a")), "unflushed");
  assert.equal(text(await disk.database.get("/a")), "1");
});

test("a simulation can stop a process at both ends of every operation", async () => {
  const write = async ({ files, database }: MemoryDisk): Promise<void> => {
    await files.write("a", bytes("x"), { flush: true });
    await database.batch([["/a", bytes("x")]], { sync: true });
  };
  let points = 0;
  await write(diskOf(1, () => points++));
  assert.equal(points, 4);
  const states = [];
  for (let at = 0; at < points; at++) {
    let point = 0;
    const disk = diskOf(1, () => {
      if (point++ === at) disk.kill();
    });
    void write(disk);
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    disk.onOperation = undefined;
    states.push(`${text(await disk.files.read("a"))}${text(await disk.database.get("/a"))}`);
  }
  assert.deepEqual(states, ["undefinedundefined", "xundefined", "xundefined", "xx"]);
});

test("a full disk refuses as a real one does, keeps what it has, and goes on when there is room", async () => {
  const disk = diskOf(1);
  const { store } = await openStore({
    files: disk.files,
    database: disk.database,
    clock: systemClock,
    source: () => NOBODY,
  });
  const [first, second] = [rawBlock(Buffer.alloc(1000, 1)), rawBlock(Buffer.alloc(1000, 2))];
  await store.put([first]);
  disk.limit(disk.used + 500);
  const full = (error: Error): boolean =>
    error instanceof StorageError && /the disk is full; free some space/.test(error.message);
  await assert.rejects(store.put([second]), full);
  await assert.rejects(store.writeState("a", Buffer.alloc(1000)), full);
  await store.writeState("a", Buffer.alloc(400));
  const many = Array.from({ length: 20 }, (_, i) => rawBlock(Uint8Array.of(i)).cid);
  await assert.rejects(store.retain("x", many), full);
  assert.deepEqual(await store.pins(), []);
  disk.limit(Infinity);
  await store.put([second]);
  assert.ok((await store.local(first.cid)) !== undefined && (await store.local(second.cid)) !== undefined);
});

test("what is retained is whole after a loss of power, also when it was fetched, which flushes nothing", async () => {
  const [block, later] = [rawBlock(Buffer.alloc(1000, 1)), rawBlock(Buffer.alloc(1000, 2))];
  for (let seed = 0; seed < 50; seed++) {
    const disk = diskOf(seed);
    const open = () =>
      openStore({
        files: disk.files,
        database: disk.database,
        clock: systemClock,
        source: (blocks) => ({
          ...NOBODY,
          connect: async () => {},
          async ask(cid) {
            await blocks.put(cid, block.bytes);
            return block.bytes.byteLength;
          },
        }),
      });
    await (await open()).store.fetch([block.cid], { holders: ["somebody"] });
    // Half of the time another process retains what this one fetched.
    if (seed % 2 === 0) disk.kill();
    const { store, blocks } = await open();
    await store.fetch([block.cid]);
    await Promise.all([store.retain("a", [block.cid]), store.retain("b", [block.cid, later.cid])]);
    // What is retained may come afterwards.
    await blocks.put(later.cid, later.bytes);
    disk.crash();
    const again = await open();
    assert.equal((await again.store.pins()).length, 2);
    for (const { cid } of [block, later])
      assert.ok((await again.store.local(cid)) !== undefined, `seed ${seed}`);
  }
});

test("a block that is retained stays whole while it is written again", async () => {
  const block = rawBlock(Buffer.alloc(1000, 1));
  for (let seed = 0; seed < 50; seed++) {
    const disk = diskOf(seed);
    const open = () => {
      const { files, database } = disk;
      return openStore({ files, database, clock: systemClock, source: () => NOBODY });
    };
    const { store, blocks } = await open();
    const first = store.put([block]);
    const second = blocks.put(block.cid, block.bytes);
    await first;
    await store.retain("a", [block.cid]);
    await second;
    await blocks.put(block.cid, block.bytes);
    disk.crash();
    assert.ok((await (await open()).store.local(block.cid)) !== undefined, `seed ${seed}`);
  }
});

test("a block that a loss of power cut short does not count as there", async () => {
  const block = rawBlock(Buffer.alloc(1000, 1));
  const found = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const disk = diskOf(seed);
    const open = () => {
      const { files, database } = disk;
      return openStore({ files, database, clock: systemClock, source: () => NOBODY });
    };
    await (await open()).blocks.put(block.cid, block.bytes);
    disk.crash();
    const left = (await disk.files.read(blockPath(block.cid)))?.byteLength;
    const there = await (await open()).store.has(block.cid);
    assert.equal(there, left === 1000, `seed ${seed}`);
    found.add(left === undefined ? "absent" : there ? "whole" : "cut");
  }
  assert.equal(found.size, 3);
});

test("a flipped bit is one bit of one file or value, and a clone does not share it", async () => {
  const disk = diskOf(1);
  await disk.files.write("a", new Uint8Array(3), { flush: true });
  await disk.database.batch([["/a", new Uint8Array(3)]], { sync: true });
  const bits = async ({ files, database }: MemoryDisk): Promise<number[]> =>
    [await files.read("a"), await database.get("/a")].map(
      (value) =>
        [...value!]
          .join("")
          .split("")
          .filter((digit) => digit !== "0").length,
    );
  const random = createRandom("bit");
  const clone = disk.clone();
  const name = disk.flipBit(random);
  assert.deepEqual(await bits(disk), name === "a" ? [1, 0] : [0, 1]);
  assert.deepEqual(await bits(clone), [0, 0]);
  disk.wipe();
  assert.equal(disk.flipBit(random), undefined);
  assert.equal(disk.used, 0);
  assert.deepEqual(await bits(clone), [0, 0]);
});

test("the same seed leaves the same, whatever is written", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ path: fc.constantFrom("a", "b"), value: fc.uint8Array(), flush: fc.boolean() })),
      async (writes) => {
        const run = async (): Promise<unknown[]> => {
          const disk = diskOf(7);
          for (const { path, value, flush } of writes) {
            await disk.files.write(path, value, { flush });
            await disk.database.batch([[path, value]], { sync: flush });
          }
          const used = disk.used;
          disk.crash();
          const left = ["a", "b"].flatMap((path) => [disk.files.read(path), disk.database.get(path)]);
          return [used, disk.used, ...(await Promise.all(left))];
        };
        assert.deepEqual(await run(), await run());
      },
    ),
    { numRuns: 50 },
  ));
