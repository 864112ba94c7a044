import assert from "node:assert/strict";
import { mkdtemp, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { LevelDatastore } from "datastore-level";
import fc from "fast-check";
import { type Clock, systemClock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/log.ts";
import { type Block, rawBlock } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { CheckedBlockstore } from "../../../src/store/blockstore.ts";
import { openDirectory } from "../../../src/store/directory.ts";
import { blockPath } from "../../../src/store/layout.ts";
import type { Database } from "../../../src/store/ports.ts";
import { openRetention, type Retention, YOUNG_MS } from "../../../src/store/retention.ts";

let ahead = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };

/** Whatever was touched before is no longer young. */
function grow(): void {
  ahead += YOUNG_MS;
}

interface Opened {
  blocks: CheckedBlockstore;
  retention: Retention;
  /** All that the database holds. */
  entries(): Promise<[key: string, value: Uint8Array][]>;
  write(...list: Block[]): Promise<void>;
  close(): Promise<void>;
}

async function openIn(directory: string): Promise<Opened> {
  const { files, database, close } = await openDirectory(directory);
  const blocks = new CheckedBlockstore(files, silentLogger);
  const retention = await openRetention({ files, database, blocks, clock });
  return {
    blocks,
    retention,
    close,
    entries: () => entriesOf(database),
    async write(...list) {
      for (const { cid, bytes } of list) {
        retention.touch(cid);
        await blocks.put(cid, bytes);
      }
    },
  };
}

async function entriesOf(database: Database): Promise<[key: string, value: Uint8Array][]> {
  const list: [string, Uint8Array][] = [];
  for await (const entry of database.entries("")) list.push(entry);
  return list;
}

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "pathweave-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const blocks = Array.from({ length: 6 }, (_, i) => rawBlock(Uint8Array.of(i)));

test("a leaf that two roots share stays until both are released, whatever the order (pins lose it)", async (t) => {
  const { retention, blocks: disk, write, close } = await openIn(await directoryOf(t));
  const [shared, onlyA, onlyB] = blocks;
  await write(shared!, onlyA!, onlyB!);
  const a = [shared!.cid, onlyA!.cid];
  const b = [shared!.cid, onlyB!.cid];
  // The sequence under which helia 7.1.15 deletes the shared leaf.
  await retention.retain([["a", a]]);
  await retention.retain([["b", b]]);
  await retention.retain([["a", []]]);
  await retention.retain([["a", a]]);
  await retention.retain([["b", []]]);
  assert.equal(await retention.sweep(), 0, "all are young");
  grow();
  assert.equal(await retention.sweep(), 1);
  assert.ok(await disk.has(shared!.cid));
  assert.ok(await disk.has(onlyA!.cid));
  assert.ok(!(await disk.has(onlyB!.cid)));
  await retention.retain([["a", []]]);
  assert.equal(await retention.sweep(), 2);
  await close();
});

test("dag-cbor blocks are retained like raw ones", async (t) => {
  const { retention, blocks: disk, write, close } = await openIn(await directoryOf(t));
  const version = Version.encode({
    module: "m/0",
    generation: 0,
    parent: null,
    contributions: [],
    state: { parameters: blocks[1]!.cid },
    tokens: 0,
  });
  await write(version);
  await retention.retain([["head", [version.cid]]]);
  grow();
  await retention.sweep();
  assert.ok(await disk.has(version.cid));
  await close();
});

test("retention is as a set per pin says, over any sequence of changes and restarts", async (t) => {
  const root = await directoryOf(t);
  let run = 0;
  const pin = fc.constantFrom("head:lower/1", "x");
  const indices = fc.uniqueArray(fc.integer({ min: 0, max: 5 }));
  const step = fc.oneof(
    fc.record({ do: fc.constant("write" as const), indices }),
    fc.record({ do: fc.constant("retain" as const), pin, indices }),
    fc.record({ do: fc.constant("release" as const), pin }),
    fc.record({ do: fc.constant("sweep" as const) }),
    fc.record({ do: fc.constant("grow" as const) }),
    fc.record({ do: fc.constant("restart" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const directory = join(root, String(run++));
      let opened = await openIn(directory);
      const pins = new Map<string, number[]>();
      const onDisk = new Set<number>();
      let recent = new Set<number>();
      let swept = false;
      for (const taken of steps) {
        if (taken.do === "write") {
          await opened.write(...taken.indices.map((i) => blocks[i]!));
          for (const i of taken.indices) {
            onDisk.add(i);
            recent.add(i);
          }
        } else if (taken.do === "retain") {
          // Only what is there is retained.
          const present = taken.indices.filter((i) => onDisk.has(i));
          await opened.retention.retain([[taken.pin, present.map((i) => blocks[i]!.cid)]]);
          pins.set(taken.pin, present);
          for (const i of present) recent.add(i);
        } else if (taken.do === "release") {
          await opened.retention.retain([[taken.pin, []]]);
          pins.delete(taken.pin);
        } else if (taken.do === "grow") {
          grow();
          recent = new Set();
        } else if (taken.do === "restart") {
          await opened.close();
          opened = await openIn(directory);
          // What is recent after a restart is told by the age of its file, see the next test; all is before a first sweep.
          if (!swept) recent = new Set(onDisk);
          for (const i of recent) opened.retention.touch(blocks[i]!.cid);
        } else {
          const kept = new Set([...pins.values()].flat());
          const doomed = [...onDisk].filter((i) => !kept.has(i) && !recent.has(i));
          // As if an earlier process had swept since.
          for (const i of doomed) await utimes(join(directory, blockPath(blocks[i]!.cid)), 0, 0);
          const deleted = await opened.retention.sweep();
          swept = true;
          assert.equal(deleted, doomed.length);
          for (const i of doomed) onDisk.delete(i);
        }
        for (const [i, { cid }] of blocks.entries())
          assert.equal(await opened.blocks.has(cid), onDisk.has(i));
        const named = [...pins].filter(([, list]) => list.length > 0);
        assert.deepEqual(opened.retention.pins().toSorted(), named.map(([name]) => name).toSorted());
        for (const [name, list] of named)
          assert.deepEqual(
            opened.retention.retained(name).map(String),
            list.map((i) => blocks[i]!.cid.toString()),
          );
      }
      await opened.close();
    }),
    { numRuns: 15 },
  );
});

test("sweeps after a restart leave for a while what was written after the last one before it", async (t) => {
  const directory = await directoryOf(t);
  const before = await openIn(directory);
  await before.write(blocks[0]!);
  await utimes(join(directory, blockPath(blocks[0]!.cid)), 0, 0);
  await before.retention.sweep();
  await before.write(blocks[1]!);
  await before.close();

  const after = await openIn(directory);
  assert.equal(await after.retention.sweep(), 1, "the old one");
  assert.equal(await after.retention.sweep(), 0, "however often");
  assert.ok(await after.blocks.has(blocks[1]!.cid));
  grow();
  assert.equal(await after.retention.sweep(), 1, "nobody retained the young one");
  await after.close();
});

test("what is written and not retained yet outlives any number of sweeps, whoever asks for them", async (t) => {
  const { retention, blocks: disk, write, close } = await openIn(await directoryOf(t));
  const [first, second] = blocks;
  await write(first!);
  // The swarm's own, when a head advances, and one that makes room for the next block.
  await retention.sweep();
  await write(second!);
  await retention.sweep();
  assert.ok(await disk.has(first!.cid));
  await retention.retain([["delta", [first!.cid, second!.cid]]]);
  grow();
  assert.equal(await retention.sweep(), 0);
  await close();
});

test("blocks that are retained while a sweep runs are not deleted", async (t) => {
  const { retention, blocks: disk, write, close } = await openIn(await directoryOf(t));
  await write(...blocks);
  grow();
  const swept = retention.sweep();
  const retained = retention.retain([["late", blocks.map(({ cid }) => cid)]]);
  assert.equal(await swept, 0);
  await retained;
  for (const { cid } of blocks) assert.ok(await disk.has(cid));
  await close();
});

/** Opens the database alone and changes it as a damaged disk would. */
async function damage(directory: string, change: (database: LevelDatastore["db"]) => Promise<unknown>) {
  const datastore = new LevelDatastore(join(directory, "data"));
  await datastore.open();
  await change(datastore.db);
  await datastore.close();
}

const KEY_OF_A = "/pathweave/retained/a";
type Entries = [key: string, value: Uint8Array][];
const damages: [string, (database: LevelDatastore["db"], before: Entries) => Promise<unknown>][] = [
  ["an entry is lost", (database) => database.del(KEY_OF_A)],
  ["an older entry comes back", (database) => database.put(KEY_OF_A, dagCbor.encode([blocks[3]!.cid]))],
  [
    "a bit of an entry flips",
    async (database) => {
      const value = Buffer.from(await database.get(KEY_OF_A));
      value[20]! ^= 1;
      await database.put(KEY_OF_A, value);
    },
  ],
  ["an entry is cut", (database) => database.put(KEY_OF_A, Uint8Array.of(0x82))],
  ["everything is lost", (database) => database.clear()],
  [
    "the last change is lost, and what is left is as it was before it",
    async (database, before) => {
      await database.clear();
      await database.batch(before.map(([key, value]) => ({ type: "put", key, value })));
    },
  ],
];
for (const [what, change] of damages)
  test(`it is noticed that ${what}, until what was missing is retained again`, async (t) => {
    const directory = await directoryOf(t);
    const first = await openIn(directory);
    assert.ok(first.retention.complete, "a new directory lacks nothing");
    await first.write(...blocks);
    await first.retention.retain([["a", [blocks[5]!.cid]]]);
    const before = await first.entries();
    await first.retention.retain([
      ["a", [blocks[0]!.cid, blocks[1]!.cid]],
      ["b", [blocks[2]!.cid]],
    ]);
    await first.close();
    await damage(directory, (database) => change(database, before));

    const second = await openIn(directory);
    assert.equal(second.retention.complete, false);
    // Old as they are, they stay: who needed them may be what was lost.
    for (const { cid } of blocks) await utimes(join(directory, blockPath(cid)), 0, 0);
    assert.equal(await second.retention.sweep(), 0);
    await second.retention.retain([["a", [blocks[0]!.cid]]]);
    await second.close();

    const third = await openIn(directory);
    assert.equal(third.retention.complete, false, "a change does not make it forgotten");
    await third.retention.rebuilt();
    await third.close();
    const last = await openIn(directory);
    assert.ok(last.retention.complete);
    assert.deepEqual(last.retention.retained("a").map(String), [blocks[0]!.cid.toString()]);
    await last.close();
  });
