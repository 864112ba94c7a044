import assert from "node:assert/strict";
import diagnosticsChannel from "node:diagnostics_channel";
import { mkdir, open, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { test } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { NetworkError } from "../../../src/errors.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { openNode } from "../../../src/store/helia.ts";
import { blockPath } from "../../../src/store/layout.ts";
import { storageError } from "../../../src/store/storage-error.ts";
import { temporaryDirectory } from "../net/support.ts";
import { noise, openPeer, spawnHolder } from "./support.ts";

test("a second process on the same directory is told in one line", async (t) => {
  const dir = await temporaryDirectory(t);
  await spawnHolder(t, dir, 1, 10);
  await assert.rejects(openPeer(t, dir), {
    name: "StorageError",
    message: `Cannot use ${dir}: another process uses it; stop that one or choose another directory.`,
  });
});

test("the directory is free again after stop, after a killed process and after a failed start", async (t) => {
  const dir = await temporaryDirectory(t);
  const { process, port } = await spawnHolder(t, dir, 1, 10);
  const killed = new Promise((resolve) => process.once("exit", resolve));
  process.kill("SIGKILL");
  await killed;
  const first = await openPeer(t, dir);
  const taken = first.network.addresses()[0]!.replace(/\/p2p\/.*/, "");
  await first.stop();

  const failing = { libp2p: () => Promise.reject(new NetworkError("no")) };
  await assert.rejects(openNode({ dir, clock: systemClock, ...failing }), { name: "NetworkError" });
  const blocker = await openPeer(t, join(dir, "other"), { listen: [taken] });
  await assert.rejects(openPeer({ after: (stop) => t.after(stop) }, dir, { listen: [taken] }), {
    name: "NetworkError",
    message: /is in use/,
  });
  await blocker.stop();
  assert.ok(port > 0);
});

test("a path that cannot be a directory is refused in one line", async (t) => {
  const dir = await temporaryDirectory(t);
  await writeFile(join(dir, "file"), "");
  await assert.rejects(openPeer(t, join(dir, "file", "below")), {
    name: "StorageError",
    message: /Cannot use .*: a part of that path is a file/,
  });
});

test("a full disk is said to be full", { skip: process.platform !== "linux" }, async () => {
  const file = await open("/dev/full", "w");
  const error: unknown = await file.write("x").catch((reason: unknown) => reason);
  await file.close();
  assert.equal(
    storageError(error, "/data").message,
    "Cannot use /data: the disk is full; free some space and start again.",
  );
  // As blockstore-fs wraps it, keeping only the text.
  assert.match(storageError(new Error(String(error)), "/data").message, /disk is full/);
});

test("a disk that refuses a fetched block ends the fetch with a StorageError", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  const block = rawBlock(noise(20, 100));
  await holder.store.put([block]);
  await fetcher.network.dial(holder.network.addresses()[0]!);
  // Every directory that blocks could go to is a file.
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  for (const a of letters)
    for (const b of letters) await writeFile(join(dir, "fetcher", "blocks", a + b), "");
  await assert.rejects(fetcher.store.get(block.cid, { holders: [holder.network.peerId] }), {
    name: "StorageError",
    message: /Cannot use .*blocks: /,
  });
});

test("state is replaced atomically, private to the user, and survives a restart", async (t) => {
  const dir = await temporaryDirectory(t);
  const first = await openPeer(t, dir);
  const name = "optimizer:path/3 é";
  assert.equal(await first.store.readState(name), undefined);
  const states = Array.from({ length: 10 }, (_, i) => noise(i, 10_000));
  await Promise.all(states.map((state) => first.store.writeState(name, state)));
  const last = (await first.store.readState(name))!;
  assert.ok(
    states.some((state) => Buffer.from(state).equals(last)),
    "one of them, whole",
  );
  const files = await readdir(join(dir, "state"));
  assert.equal(files.length, 1);
  assert.equal((await stat(join(dir, "state", files[0]!))).mode & 0o777, 0o600);
  await first.stop();
  const second = await openPeer(t, dir);
  assert.ok(Buffer.from(last).equals((await second.store.readState(name))!));
});

test("blocks, retention and pins survive a restart", async (t) => {
  const dir = await temporaryDirectory(t);
  const [kept, dropped] = [rawBlock(noise(1, 10)), rawBlock(noise(2, 10))];
  const first = await openPeer(t, dir);
  await first.store.put([kept, dropped]);
  await first.store.retain("head:lower/1", [kept.cid]);
  assert.equal(await first.store.sweep(), 0, "both were just written");
  await first.stop();
  // Surely before that sweep, however coarse the clock of the file system is.
  await utimes(join(dir, blockPath(dropped.cid)), 0, 0);
  const second = await openPeer(t, dir);
  assert.deepEqual(await second.store.pins(), ["head:lower/1"]);
  assert.deepEqual((await second.store.retained("head:lower/1")).map(String), [kept.cid.toString()]);
  assert.deepEqual(await second.store.retained("nobody"), []);
  assert.equal(await second.store.sweep(), 1, "the one nobody retains");
  assert.ok(Buffer.from(kept.bytes).equals((await second.store.local(kept.cid))!));
  assert.equal(await second.store.local(dropped.cid), undefined);
});

test("nothing phones home: no connection, no datagram, no name is looked up", async (t) => {
  const dir = await temporaryDirectory(t);
  await mkdir(dir, { recursive: true });
  const calls: string[] = [];
  const note = (_message: unknown, channel: string | symbol): void => void calls.push(String(channel));
  const channels = ["net.client.socket", "udp.socket", "undici:request:create"];
  for (const channel of channels) diagnosticsChannel.subscribe(channel, note);
  const names = new PerformanceObserver((list) => calls.push(...list.getEntries().map(({ name }) => name)));
  names.observe({ entryTypes: ["dns", "net"] });
  t.after(() => {
    for (const channel of channels) diagnosticsChannel.unsubscribe(channel, note);
    names.disconnect();
  });

  const lonely = await openPeer(t, join(dir, "lonely"));
  const block = rawBlock(noise(3, 10));
  await lonely.store.put([block]);
  await assert.rejects(lonely.store.get(rawBlock(noise(4, 10)).cid, { signal: AbortSignal.timeout(1_000) }));
  assert.equal(calls.join(), "");

  // The instruments do see a connection.
  const other = await openPeer(t, join(dir, "other"));
  await lonely.network.dial(other.network.addresses()[0]!);
  assert.ok(calls.includes("net.client.socket"));
});
