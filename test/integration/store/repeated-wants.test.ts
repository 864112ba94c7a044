/** A block that is lost right after it came is asked for again, from the same holder, at once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { type Block, rawBlock } from "../../../src/objects/object.ts";
import { temporaryDirectory } from "../net/support.ts";
import { noise, openPeer, type StorePeer } from "./support.ts";

const BLOCKS = 40;

/** Two connected peers. */
async function pair(t: TestContext): Promise<[StorePeer, StorePeer]> {
  const dir = await temporaryDirectory(t);
  const [a, b] = [await openPeer(t, join(dir, "a")), await openPeer(t, join(dir, "b"))];
  await a.network.dial(b.network.addresses()[0]!);
  return [a, b];
}

const blocksOf = (from: number, count: number, byteLength: number): Block[] =>
  Array.from({ length: count }, (_, i) => rawBlock(noise(from + i, byteLength)));

/** Deletes what nobody retains. */
async function forget({ store }: StorePeer): Promise<void> {
  await store.sweep(0);
}

/** Fetches each block three times in a row, and loses it each time. */
async function fetchAgainAndAgain(fetcher: StorePeer, holder: StorePeer, blocks: Block[]): Promise<void> {
  const holders = [holder.network.peerId];
  for (const { cid } of blocks)
    for (let time = 0; time < 3; time++) {
      await fetcher.store.fetch([cid], { holders });
      await forget(fetcher);
      assert.equal(await fetcher.store.has(cid), false, "it is lost again");
    }
}

for (const byteLength of [100, 200_000])
  test(`a block of ${byteLength} bytes is sent as often as it is asked for, either way`, async (t) => {
    const [a, b] = await pair(t);
    const [ofA, ofB] = [blocksOf(0, BLOCKS, byteLength), blocksOf(BLOCKS, BLOCKS, byteLength)];
    await a.store.put(ofA);
    await b.store.put(ofB);
    await a.store.retain(
      "own",
      ofA.map(({ cid }) => cid),
    );
    await b.store.retain(
      "own",
      ofB.map(({ cid }) => cid),
    );
    await Promise.all([fetchAgainAndAgain(a, b, ofB), fetchAgainAndAgain(b, a, ofA)]);
    for (const { store } of [a, b]) assert.equal(store.transferred.bytesIn, 3 * BLOCKS * byteLength);
  });

test("other wants in flight, and wants that were taken back, do not keep a block from being sent", async (t) => {
  const [fetcher, holder] = await pair(t);
  const holders = [holder.network.peerId];
  for (let round = 0; round < BLOCKS; round++) {
    const [wanted, late, ...others] = blocksOf(100 * round, 5, 1000) as [Block, Block, ...Block[]];
    await holder.store.put([wanted, ...others]);
    const all = [wanted, late, ...others].map(({ cid }) => cid);
    // The holder lacks one, so that want is taken back while the others are served.
    await assert.rejects(fetcher.store.fetch(all, { holders }), { name: "UnavailableError" });
    await forget(fetcher);
    await holder.store.put([late]);
    await fetcher.store.fetch(all, { holders });
  }
});
