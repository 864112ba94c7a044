/** The lineage on a real disk, without network: what a restart finds is what was flushed. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { StorageError } from "../../../../src/errors.ts";
import { Contribution } from "../../../../src/objects/contribution.ts";
import type { Block } from "../../../../src/objects/object.ts";
import { Version } from "../../../../src/objects/version.ts";
import { Lineage } from "../../../../src/outer/lineage.ts";
import { openRecord } from "../../../../src/outer/records.ts";
import { openDirectory } from "../../../../src/store/directory.ts";
import type { Store } from "../../../../src/store/types.ts";
import { createLineageStore, type LineageStore } from "../../../../src/swarm/modules/lineage-store.ts";
import { fileOf, flipBit, openStore } from "../../store/disk.ts";
import {
  basesOf,
  cidOf,
  createInit,
  fold,
  GENESIS,
  MODULE,
  RUN_ID,
  TOKENS_PER_STEP,
} from "../../outer/history.ts";

const key = await generateKeyPair("Ed25519");

interface Opened {
  store: Store;
  lineage: Lineage;
  records: LineageStore;
  close(): Promise<void>;
}

/** Opens a directory as a starting peer does: an empty lineage, then what the disk holds. */
async function open(dir: string): Promise<Opened> {
  const { store, close } = await openStore(dir);
  const lineage = new Lineage(createInit());
  const records = createLineageStore(store, new Map([[MODULE, lineage]]));
  for await (const { cid, bytes } of records.restore()) {
    await ingest(lineage, bytes);
    records.add(MODULE, { cid, bytes });
  }
  return { store, lineage, records, close };
}

async function ingest(lineage: Lineage, bytes: Uint8Array): Promise<void> {
  const { type, record } = await openRecord(bytes);
  if (type === "version") lineage.addVersion(record);
  else lineage.addContribution(record);
}

async function add({ lineage, records }: Opened, block: Block): Promise<void> {
  await ingest(lineage, block.bytes);
  records.add(MODULE, block);
}

function contribution(base: { cid: typeof RUN_ID }, round: number): Promise<Block> {
  const tokens = TOKENS_PER_STEP;
  return Contribution.seal(
    {
      run: RUN_ID,
      module: MODULE,
      bases: basesOf(MODULE, 0, base.cid),
      work: "train",
      round,
      path: 0,
      replica: 0,
      delta: cidOf("delta"),
      tokens,
      steps: 1,
      loss: 1,
    },
    key,
  );
}

/** Folds all that is pending, as an owner does. */
async function publish(peer: Opened): Promise<void> {
  const { cid: _, ...version } = fold(peer.lineage.head(), peer.lineage.pending());
  await add(peer, Version.encode(version));
}

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "pathweave-lineage-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const state = ({ lineage }: Opened): string[] =>
  [...lineage.versions(), ...lineage.contributions()].map(({ cid }) => cid.toString());

/** What the disk holds of the lineage. */
async function logged({ store }: Pick<Opened, "store">): Promise<string[]> {
  const list: string[] = [];
  for await (const { cid } of store.records.entries(MODULE)) list.push(cid.toString());
  return list;
}

test("a restart finds all that was flushed, and nothing else", async (t) => {
  const dir = await directory(t);
  const first = await open(dir);
  for (let round = 0; round < 5; round++) {
    await add(first, await contribution(first.lineage.head(), round));
    await publish(first);
  }
  await add(first, await contribution(first.lineage.head(), 5));
  await first.records.flush();
  const flushed = state(first);
  // Announced by nobody yet: a crash may lose it, but not what was flushed before.
  await add(first, await contribution(first.lineage.head(), 6));
  assert.equal(state(first).length, flushed.length + 1);
  await first.close();

  const second = await open(dir);
  t.after(() => second.close());
  assert.deepEqual(state(second), flushed);
  assert.equal(second.lineage.head().generation, 5);
  assert.equal(second.lineage.pending().length, 1);
});

test("records of the lineage outlive every sweep, other blocks do not", async (t) => {
  const peer = await open(await directory(t));
  t.after(() => peer.close());
  const block = await contribution(GENESIS, 0);
  await add(peer, block);
  const stray = await contribution(GENESIS, 1);
  await peer.store.put([stray]);
  await peer.records.flush();
  await peer.store.sweep(0);
  assert.ok(Buffer.from(block.bytes).equals((await peer.records.block(block.cid))!));
  assert.equal(await peer.records.block(stray.cid), undefined);
});

test("a flush that the disk refuses is made up for by the next", async (t) => {
  const dir = await directory(t);
  const peer = await open(dir);
  let full = true;
  const store: Store = {
    ...peer.store,
    retainTogether: (changes, records) =>
      full
        ? Promise.reject(new StorageError("the disk is full"))
        : peer.store.retainTogether(changes, records),
  };
  const records = createLineageStore(store, new Map([[MODULE, peer.lineage]]));
  await add({ ...peer, records }, await contribution(GENESIS, 0));
  await assert.rejects(records.flush(), StorageError);
  assert.deepEqual(await logged(peer), []);
  full = false;
  await records.flush();
  await peer.close();
  const again = await open(dir);
  t.after(() => again.close());
  assert.equal(again.lineage.pending().length, 1);
});

/** Flips a bit of a record wherever it is on the disk: in its log, as a file, or in both. */
async function rot(dir: string, { cid, bytes }: Block, where: "log" | "file" | "both"): Promise<void> {
  if (where !== "log") await flipBit(dir, cid);
  if (where === "file") return;
  const { database, close } = await openDirectory(dir);
  for await (const [key, value] of database.entries("/pathweave/log/"))
    if (Buffer.from(value).subarray(-bytes.byteLength).equals(bytes)) {
      const harmed = Buffer.from(value);
      harmed[harmed.length >> 1]! ^= 4;
      await database.batch([[key, harmed]], { sync: true });
    }
  await close();
}

for (const where of ["log", "file"] as const)
  test(`a record that rotted ${where === "log" ? "in its log is read from its file" : "as a file is read from its log"}`, async (t) => {
    const dir = await directory(t);
    const first = await open(dir);
    const blocks = [await contribution(GENESIS, 0), await contribution(GENESIS, 1)];
    for (const block of blocks) await add(first, block);
    await first.records.flush();
    const whole = state(first).toSorted();
    await first.close();
    await rot(dir, blocks[0]!, where);
    for (let restart = 0; restart < 3; restart++) {
      const next = await open(dir);
      assert.equal(next.store.complete, where === "file" || restart > 0, "it is noticed, once");
      assert.deepEqual(state(next).toSorted(), whole);
      assert.ok(await next.store.local(blocks[0]!.cid));
      await next.records.flush();
      assert.ok(next.store.complete);
      assert.deepEqual((await logged(next)).toSorted(), blocks.map(({ cid }) => cid.toString()).toSorted());
      await next.store.sweep(0);
      assert.ok(Buffer.from(blocks[0]!.bytes).equals(await readFile(fileOf(dir, blocks[0]!.cid))));
      await next.close();
    }
  });

test("a record whose file rotted, and that nobody reads, becomes whole while the peer goes on", async (t) => {
  const dir = await directory(t);
  const peer = await open(dir);
  t.after(() => peer.close());
  const blocks: Block[] = [];
  for (let round = 0; round < 8; round++) {
    blocks.push(await contribution(GENESIS, round));
    await add(peer, blocks.at(-1)!);
    await peer.records.flush();
  }
  await rot(dir, blocks[0]!, "file");
  await rm(fileOf(dir, blocks[5]!.cid));
  for (let round = 8; round < 16; round++) {
    await add(peer, await contribution(GENESIS, round));
    await peer.records.flush();
  }
  for (const { cid, bytes } of blocks)
    assert.ok(Buffer.from(bytes).equals(await readFile(fileOf(dir, cid))), cid.toString());
});

test("a record that was lost from the end of its log is missed", async (t) => {
  const dir = await directory(t);
  const first = await open(dir);
  for (let round = 0; round < 3; round++) await add(first, await contribution(GENESIS, round));
  await first.records.flush();
  const whole = state(first).toSorted();
  await first.close();
  const { database, close } = await openDirectory(dir);
  const keys: string[] = [];
  for await (const [key] of database.entries("/pathweave/log/")) keys.push(key);
  await database.batch([[keys.at(-1)!, undefined]], { sync: true });
  await close();
  const second = await open(dir);
  assert.equal(second.store.complete, false);
  assert.deepEqual(state(second).toSorted(), whole);
  await second.close();
});

test("a block that rotted on disk is left out, and the rest is restored", async (t) => {
  const dir = await directory(t);
  const first = await open(dir);
  const blocks = [await contribution(GENESIS, 0), await contribution(GENESIS, 1)];
  for (const block of blocks) await add(first, block);
  await first.records.flush();
  await first.close();
  await rot(dir, blocks[0]!, "both");
  const second = await open(dir);
  t.after(() => second.close());
  assert.deepEqual(
    second.lineage.pending().map(({ cid }) => cid.toString()),
    [blocks[1]!.cid.toString()],
  );
});

test("a damaged record does not cost those that need it: they wait on disk until a peer brings it", async (t) => {
  const dir = await directory(t);
  const first = await open(dir);
  const blocks: Block[] = [];
  for (let round = 0; round < 4; round++) {
    blocks.push(await contribution(first.lineage.head(), round));
    await add(first, blocks.at(-1)!);
    await publish(first);
  }
  await first.records.flush();
  const whole = state(first);
  await first.close();
  await rot(dir, blocks[1]!, "both");

  const second = await open(dir);
  assert.equal(second.lineage.head().generation, 1, "what follows it cannot be checked without it");
  // The peer goes on, and so rewrites what belongs to the lineage.
  await add(second, await contribution(second.lineage.head(), 7));
  await second.records.flush();
  await second.store.sweep(0);
  await second.close();

  const third = await open(dir);
  t.after(() => third.close());
  await add(third, blocks[1]!);
  assert.equal(third.lineage.head().generation, 4);
  for (const cid of whole) assert.ok(state(third).includes(cid), `${cid} is lost`);
});

test("what waits for its base outlives sweeps and restarts, and joins the lineage when the base comes", async (t) => {
  const source = await open(await directory(t));
  t.after(() => source.close());
  const first = await contribution(GENESIS, 0);
  await add(source, first);
  await publish(source);
  const { cid } = source.lineage.head();
  const base: Block = { cid, bytes: (await source.records.block(cid))! };
  const second = await contribution(base, 1);
  const waits = ({ store }: Opened): boolean =>
    store.records.waiting(MODULE).some(({ cid: one }) => one.equals(second.cid));
  const joined = async (peer: Opened): Promise<boolean> =>
    (await logged(peer)).includes(second.cid.toString());
  const sweep = async ({ store }: Opened): Promise<void> => {
    await store.sweep(0);
  };

  const dir = await directory(t);
  let peer = await open(dir);
  await add(peer, second);
  await peer.records.flush();
  for (let restart = 0; restart < 2; restart++) {
    await sweep(peer);
    await peer.close();
    peer = await open(dir);
    assert.equal(peer.lineage.contribution(second.cid), undefined);
    assert.deepEqual(peer.lineage.orphans().map(String), [second.cid.toString()]);
    await peer.records.flush();
    assert.ok(waits(peer));
    assert.ok(!(await joined(peer)), "it may never be a part of it");
  }
  for (const block of [first, base]) await add(peer, block);
  await peer.records.flush();
  assert.ok(await joined(peer));
  assert.ok(!waits(peer));
  await sweep(peer);
  await peer.close();
  const again = await open(dir);
  t.after(() => again.close());
  assert.ok(again.lineage.contribution(second.cid) !== undefined);
});

test("a lineage whose database is lost is read back from its blocks", async (t) => {
  const dir = await directory(t);
  const first = await open(dir);
  for (let round = 0; round < 3; round++) {
    await add(first, await contribution(first.lineage.head(), round));
    await publish(first);
  }
  await first.records.flush();
  const whole = state(first);
  await first.close();
  await rm(join(dir, "data"), { recursive: true });

  const second = await open(dir);
  assert.equal(second.store.complete, false);
  assert.deepEqual(state(second), whole);
  await second.records.flush();
  assert.ok(second.store.complete, "and written anew");
  await second.close();
  const third = await open(dir);
  t.after(() => third.close());
  assert.ok(third.store.complete);
  assert.deepEqual(state(third), whole);
});

test("nobody is told of a record before it is on disk, as a part of the lineage", async (t) => {
  const peer = await open(await directory(t));
  t.after(() => peer.close());
  const block = await contribution(GENESIS, 0);
  await add(peer, block);
  assert.equal(await peer.store.local(block.cid), undefined);
  assert.ok(Buffer.from(block.bytes).equals((await peer.records.block(block.cid))!));
  assert.deepEqual(await logged(peer), [block.cid.toString()]);
});

test("what is flushed together is there together after a crash, or not at all", async (t) => {
  const dir = await directory(t);
  const first = await open(dir);
  const [one, two] = [await contribution(GENESIS, 0), await contribution(GENESIS, 1)];
  const begun = Promise.withResolvers<void>();
  const together = first.records.flush(async () => {
    await add(first, one);
    begun.resolve();
    await add(first, two);
    return [["path-state:0:0:0", [one.cid]]];
  });
  // The clock's own flush comes in between.
  await begun.promise;
  const clock = first.records.flush();
  assert.deepEqual(await logged(first), []);
  await Promise.all([together, clock]);
  assert.equal((await logged(first)).length, 2);
  assert.equal((await first.store.retained("path-state:0:0:0")).length, 1);
  await first.close();
});
