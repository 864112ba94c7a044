import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { filesOf } from "../../../../src/store/directory.ts";
import { createStateFiles } from "../../../../src/store/state.ts";
import { StorageError } from "../../../../src/errors.ts";
import { type Announcers, createAnnouncers } from "../../../../src/swarm/conduct/provenance.ts";
import { temporaryDirectory } from "../../../integration/net/support.ts";
import { cidOf } from "../../outer/history.ts";

const [first, second] = [cidOf("first"), cidOf("second")];

async function files(t: TestContext) {
  const state = createStateFiles(filesOf(await temporaryDirectory(t)));
  return { readState: state.read, writeState: state.write };
}

async function restored(store: Parameters<typeof createAnnouncers>[0]): Promise<Announcers> {
  const announcers = createAnnouncers(store);
  await announcers.restore();
  return announcers;
}

test("who announced a version is known after a restart, those that published it first", async (t) => {
  const store = await files(t);
  const announcers = await restored(store);
  for (const peer of ["ann", "bob", "kim", "lea"]) announcers.heard(first, peer, false);
  for (const published of [true, false]) announcers.heard(first, "eve", published);
  announcers.heard(second, "ann", false);
  await announcers.flush();
  assert.deepEqual(announcers.of(first), { all: ["ann", "bob", "kim", "lea", "eve"], publishers: ["eve"] });
  const again = await restored(store);
  assert.deepEqual(again.of(first), { all: ["eve", "ann", "bob", "kim"], publishers: ["eve"] });
  assert.deepEqual(again.of(second), { all: ["ann"], publishers: [] });
  assert.deepEqual(again.of(cidOf("third")).all, []);
});

test("the oldest are forgotten, and the file stays within an object's size", async (t) => {
  const store = await files(t);
  const announcers = await restored(store);
  const names = Array.from({ length: 4 }, (_, index) => `12D3KooW${String(index).repeat(44)}`);
  for (let version = 0; version < 3000; version++)
    for (const name of names) announcers.heard(cidOf(`version ${version}`), name, true);
  await announcers.flush();
  const again = await restored(store);
  assert.deepEqual(again.of(cidOf("version 0")).all, []);
  assert.deepEqual(again.of(cidOf("version 2999")).all, names);
});

test("a write that the disk refuses is made up for by the next, and nothing new is not written", async (t) => {
  const store = await files(t);
  let writes = 0;
  const announcers = await restored({
    ...store,
    writeState(name, bytes) {
      writes++;
      return writes === 1
        ? Promise.reject(new StorageError("the disk is full"))
        : store.writeState(name, bytes);
    },
  });
  announcers.heard(first, "eve", true);
  await assert.rejects(announcers.flush(), StorageError);
  await announcers.flush();
  await announcers.flush();
  assert.equal(writes, 2);
  assert.deepEqual((await restored(store)).of(first).all, ["eve"]);
});

test("a file that rotted is as if it had never been there", async (t) => {
  const store = await files(t);
  await store.writeState("announcers", Buffer.from("rot"));
  assert.deepEqual((await restored(store)).of(first).all, []);
});
