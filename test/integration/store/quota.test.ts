/** `--max-disk`, on real disks. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { type Clock, systemClock } from "../../../src/clock.ts";
import { StorageError } from "../../../src/errors.ts";
import { createNode } from "../../../src/net/network.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { openNode } from "../../../src/store/helia.ts";
import type { QuotaOptions } from "../../../src/store/quota.ts";
import { YOUNG_MS } from "../../../src/store/retention.ts";
import type { Store } from "../../../src/store/types.ts";
import { nodeConfig, temporaryDirectory } from "../net/support.ts";
import { noise, openPeer } from "./support.ts";

const KIB = 1024;
let ahead = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };

/** Whatever was written before is no longer young. */
function grow(): void {
  ahead += YOUNG_MS;
}

const block = (seed: number) => rawBlock(noise(seed, 100 * KIB));

async function withStore(
  dir: string,
  quota: QuotaOptions,
  use: (store: Store, left: () => number) => Promise<void>,
): Promise<void> {
  const config = await nodeConfig({ listen: [] });
  const node = await openNode({
    dir,
    quota,
    clock,
    libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
  });
  await node.start();
  try {
    await use(node.store, node.quotaLeft);
  } finally {
    await node.stop();
  }
}

test("a store keeps within its quota, says what to do, loses nothing, and goes on with a larger one", async (t) => {
  const dir = await temporaryDirectory(t);
  const full = (error: Error): boolean =>
    error instanceof StorageError &&
    !error.message.includes("\n") &&
    /250 KiB that --max-disk allows.*Nothing is lost; start again with a larger --max-disk\.$/.test(
      error.message,
    );
  await withStore(dir, { maxBytes: 250 * KIB, reclaim: false }, async (store, left) => {
    await store.put([block(1)]);
    await store.writeState("a", noise(2, 60 * KIB));
    await store.put([block(1)]);
    assert.equal(left(), 90 * KIB, "a block that is there already takes no room");
    await assert.rejects(store.put([block(3)]), full);
    await assert.rejects(store.writeState("a", noise(4, 100 * KIB)), full);
    assert.equal(left(), 90 * KIB);
    await store.writeState("a", noise(5, 20 * KIB));
    assert.equal(left(), 130 * KIB);
    await store.put([block(3)]);
  });
  await withStore(dir, { maxBytes: 350 * KIB, reclaim: false }, async (store, left) => {
    assert.equal(left(), 130 * KIB, "what is there is counted when the store is opened");
    assert.deepEqual(await store.readState("a"), Buffer.from(noise(5, 20 * KIB)));
    for (const seed of [1, 3]) assert.ok((await store.local(block(seed).cid)) !== undefined);
    await store.put([block(6)]);
  });
});

test("what nobody needs makes room before anything is refused; what is retained or new stays", async (t) => {
  const dir = await temporaryDirectory(t);
  await withStore(dir, { maxBytes: 350 * KIB, reclaim: true }, async (store) => {
    await store.put([block(1), block(2)]);
    await store.retain("head", [block(1).cid]);
    grow();
    await store.put([block(3)]);
    await store.put([block(4)]);
    assert.equal(await store.has(block(2).cid), false);
    for (const seed of [1, 3, 4]) assert.ok(await store.has(block(seed).cid), `block ${seed}`);
    await assert.rejects(store.put([block(5)]), /all of it is needed/);
  });
});

test("a fetch that the quota does not allow ends with its reason", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  await holder.store.put([block(1)]);
  const config = await nodeConfig({ listen: [] });
  const node = await openNode({
    dir: join(dir, "fetcher"),
    quota: { maxBytes: 50 * KIB, reclaim: true },
    clock: systemClock,
    libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
  });
  t.after(() => node.stop());
  await node.start();
  await node.libp2p.dial(multiaddr(holder.network.addresses()[0]));
  await assert.rejects(node.store.get(block(1).cid, { holders: [holder.network.peerId] }), /--max-disk/);
});

test("room for blocks that come with a change is made, too, while it is written", async (t) => {
  const dir = await temporaryDirectory(t);
  await withStore(dir, { maxBytes: 250 * KIB, reclaim: true }, async (store) => {
    await store.put([block(1), block(2)]);
    grow();
    await store.retainTogether([], { append: [{ log: "log", block: block(3) }] });
    assert.ok(await store.local(block(3).cid));
    assert.equal(await store.local(block(1).cid), undefined);
  });
});
