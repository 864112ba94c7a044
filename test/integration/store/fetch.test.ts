import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import { test } from "node:test";
import { withBitswap } from "@helia/bitswap";
import { createHeliaLight } from "helia";
import { CID } from "multiformats/cid";
import * as Digest from "multiformats/hashes/digest";
import { MAX_BLOCK_BYTES, rawBlock } from "../../../src/objects/object.ts";
import { TensorPack } from "../../../src/objects/tensor-pack.ts";
import { createLogger } from "../../../src/log.ts";
import { blockPath } from "../../../src/store/layout.ts";
import { readPack, writeChunks, writePack } from "../../../src/store/pack.ts";
import { startTcpProxy } from "../net/tcp-proxy.ts";
import { startBootstrap, startPeer, temporaryDirectory } from "../net/support.ts";
import { noise, openPeer, spawnHolder } from "./support.ts";

const MIB = 1 << 20;
const LIMIT = { maxBytes: 64 * MIB };

/** Where a store keeps a block. */
function fileOf(dir: string, cid: CID): string {
  return join(dir, blockPath(cid));
}

test("two holders share a fetch, and every byte crosses the wire once", async (t) => {
  const dir = await temporaryDirectory(t);
  const bytes = 24 * MIB;
  const holders = await Promise.all([0, 1].map((i) => spawnHolder(t, join(dir, `holder${i}`), 7, bytes)));
  const proxies = await Promise.all(holders.map(({ port }) => startTcpProxy(t, port)));
  const { store, network } = await openPeer(t, join(dir, "fetcher"), { listen: [] });
  for (const [i, { peer }] of holders.entries())
    await network.dial(`/ip4/127.0.0.1/tcp/${proxies[i]!.port}/p2p/${peer}`);

  const result = await readPack(store, CID.parse(holders[0]!.cid), {
    ...LIMIT,
    holders: holders.map(({ peer }) => peer),
  });

  assert.ok(Buffer.from(result.bytes).equals(noise(7, bytes)));
  const wire = proxies.map((proxy) => proxy.received());
  t.diagnostic(`wire/payload ${((wire[0]! + wire[1]!) / bytes).toFixed(3)}, by holder ${wire.join(" + ")}`);
  assert.ok(wire[0]! + wire[1]! < 1.05 * bytes);
  for (const part of wire) assert.ok(part > 0.2 * bytes, "both holders take part");
  assert.ok(store.transferred.bytesIn >= bytes && store.transferred.bytesIn < 1.01 * bytes);
});

test("when a holder is killed in the middle, the other one gives the rest", async (t) => {
  const dir = await temporaryDirectory(t);
  const bytes = 24 * MIB;
  const [victim, other] = await Promise.all(
    [0, 1].map((i) => spawnHolder(t, join(dir, `holder${i}`), 8, bytes)),
  );
  const proxies = await Promise.all([victim!, other!].map(({ port }) => startTcpProxy(t, port)));
  const { store, network } = await openPeer(t, join(dir, "fetcher"), { listen: [] });
  for (const [i, { peer }] of [victim!, other!].entries())
    await network.dial(`/ip4/127.0.0.1/tcp/${proxies[i]!.port}/p2p/${peer}`);
  const killed = once(victim!.process, "exit");
  proxies[0]!.onReceive((total) => {
    if (total > 4 * MIB) victim!.process.kill("SIGKILL");
  });

  const result = await readPack(store, CID.parse(victim!.cid), {
    ...LIMIT,
    holders: [victim!.peer, other!.peer],
  });

  await killed;
  assert.ok(Buffer.from(result.bytes).equals(noise(8, bytes)));
  const wire = proxies[0]!.received() + proxies[1]!.received();
  t.diagnostic(`wire/payload ${(wire / bytes).toFixed(3)} with a kill after 4 MiB`);
  // Lost at most: the four blocks in flight.
  assert.ok(wire < 1.05 * bytes + 4 * MIB);
});

test("a fetch cut short keeps its blocks over a restart and fetches only the missing ones", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const all = await writeChunks(holder.store, noise(9, 8 * MIB));
  const address = holder.network.addresses()[0]!;

  const first = await openPeer(t, join(dir, "fetcher"));
  await first.network.dial(address);
  await first.store.fetch(all.slice(0, 5), { holders: [holder.network.peerId] });
  await first.stop();

  const second = await openPeer(t, join(dir, "fetcher"));
  await second.network.dial(address);
  // Not yet retained, but younger than the last sweep.
  assert.equal(await second.store.sweep(), 0);
  await second.store.fetch(all, { holders: [holder.network.peerId] });
  assert.equal(second.store.transferred.bytesIn, 3 * MIB);
  assert.equal(holder.store.transferred.bytesOut, 8 * MIB);
});

test("a corrupt or truncated block is noticed, deleted and fetched again, at once from the same holder", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const bytes = noise(10, 3 * MIB);
  const cid = await writePack(holder.store, {
    codec: "int8",
    tensors: [{ name: "w", shape: [bytes.byteLength] }],
    bytes,
  });
  const lines: string[] = [];
  const fetcher = await openPeer(
    t,
    join(dir, "fetcher"),
    {},
    createLogger("warn", (line) => lines.push(line)),
  );
  await fetcher.network.dial(holder.network.addresses()[0]!);
  const options = { ...LIMIT, holders: [holder.network.peerId] };
  const began = performance.now();
  const { pack } = await readPack(fetcher.store, cid, options);
  const took = performance.now() - began;

  await truncate(fileOf(join(dir, "fetcher"), pack.chunks[0]!), 1000);
  await writeFile(fileOf(join(dir, "fetcher"), pack.chunks[1]!), Buffer.alloc(MIB));

  assert.equal(await fetcher.store.local(pack.chunks[0]!), undefined);
  assert.equal(await fetcher.store.has(pack.chunks[0]!), false);
  // Less than a silent holder is waited for: the holder answers at once, though it sent the same blocks just now.
  const again = await readPack(fetcher.store, cid, {
    ...options,
    signal: AbortSignal.timeout(Math.max(8_000, 2 * took)),
  });
  assert.ok(Buffer.from(again.bytes).equals(bytes));
  assert.equal(lines.filter((line) => line.includes("is corrupt")).length, 2);
});

test("a holder whose own copy is corrupt does not serve it, and the fetch says who lacks it", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const block = rawBlock(noise(11, 1000));
  await holder.store.put([block]);
  await writeFile(fileOf(join(dir, "holder"), block.cid), "garbage");
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  await fetcher.network.dial(holder.network.addresses()[0]!);

  await assert.rejects(fetcher.store.get(block.cid, { holders: [holder.network.peerId] }), (error: Error) => {
    assert.equal(error.name, "UnavailableError");
    assert.match(error.message, /Cannot fetch 1 of 1 blocks/);
    assert.ok(error.message.includes(`${holder.network.peerId}: it does not have them`));
    return true;
  });
  assert.equal(holder.store.transferred.bytesOut, 0);
});

test("without holders the DHT is asked: for the root, then for the block", async (t) => {
  const dir = await temporaryDirectory(t);
  const bootstrap = (await startBootstrap(t)).addresses();
  const holder = await openPeer(t, join(dir, "holder"), { bootstrap });
  const fetcher = await openPeer(t, join(dir, "fetcher"), { bootstrap });
  const bytes = noise(12, 2 * MIB);
  const cid = await writePack(holder.store, {
    codec: "int8",
    tensors: [{ name: "w", shape: [bytes.byteLength] }],
    bytes,
  });
  // Only the root is announced; its chunks follow from it.
  await holder.network.provide(cid);

  const result = await readPack(fetcher.store, cid, LIMIT);
  assert.ok(Buffer.from(result.bytes).equals(bytes));
});

test("a fetch that nobody can serve names every holder and its failure, and keeps to its deadline", async (t) => {
  const dir = await temporaryDirectory(t);
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  const bystander = await startPeer(t);
  await fetcher.network.dial(bystander.network.addresses()[0]!);
  const gone = await startPeer(t);
  await fetcher.network.dial(gone.network.addresses()[0]!);
  await gone.libp2p.stop();
  const { cid } = rawBlock(noise(13, 10));

  await assert.rejects(
    fetcher.store.get(cid, { holders: [bystander.network.peerId, gone.network.peerId, "nonsense"] }),
    (error: Error) => {
      t.diagnostic(error.message);
      assert.equal(error.name, "UnavailableError");
      for (const holder of [bystander.network.peerId, gone.network.peerId, "nonsense"])
        assert.ok(error.message.includes(`${holder}: `));
      return true;
    },
  );
  await assert.rejects(fetcher.store.get(cid, { signal: AbortSignal.abort() }), {
    name: "UnavailableError",
    message: /was given up/,
  });
});

test("concurrent fetches of the same blocks move them once", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const cids = await writeChunks(holder.store, noise(14, 4 * MIB));
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  await fetcher.network.dial(holder.network.addresses()[0]!);
  const options = { holders: [holder.network.peerId] };
  await Promise.all([
    fetcher.store.fetch(cids, options),
    fetcher.store.fetch(cids, options),
    fetcher.store.get(cids[2]!, options),
  ]);
  assert.equal(fetcher.store.transferred.bytesIn, 4 * MIB);
  assert.equal(holder.store.transferred.bytesOut, 4 * MIB);
});

test("a second fetch goes on with its own holders when the first one's fail", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const cids = await writeChunks(holder.store, noise(15, MIB));
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  await fetcher.network.dial(holder.network.addresses()[0]!);
  const first = new AbortController();
  const fails = { name: "UnavailableError" };
  const failing = assert.rejects(
    fetcher.store.fetch(cids, { holders: ["nonsense"], signal: first.signal }),
    fails,
  );
  // Only then is the first one after the block, and the second one waits for it.
  while (fetcher.store.fetches().length === 0) await new Promise((resolve) => setImmediate(resolve));
  const second = fetcher.store.fetch(cids, { holders: [holder.network.peerId] });
  first.abort();
  await second;
  await failing;
  assert.ok(await fetcher.store.has(cids[0]!));
});

test("hostile packs are refused before or without fetching too much", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  await fetcher.network.dial(holder.network.addresses()[0]!);
  const options = { ...LIMIT, holders: [holder.network.peerId] };
  const bytes = noise(16, MAX_BLOCK_BYTES + 1);
  const good = await writePack(holder.store, {
    codec: "int8",
    tensors: [{ name: "w", shape: [bytes.byteLength] }],
    bytes,
  });
  await assert.rejects(readPack(fetcher.store, good, { ...options, maxBytes: MIB }), {
    name: "InvalidObjectError",
    message: /over the limit/,
  });
  const decoded = TensorPack.decode((await holder.store.local(good))!);
  for (const [change, message] of [
    [{ bytes: 1 }, /cannot hold exactly 1 bytes/],
    [{ bytes: MIB + 2 }, /Chunk 1 .* has 1 bytes where the object needs 2/],
    [{ elements: 3 }, /miscounts/],
  ] as const) {
    const root = TensorPack.encode({ ...decoded, ...change });
    await holder.store.put([root]);
    await assert.rejects(readPack(fetcher.store, root.cid, options), { name: "InvalidObjectError", message });
  }
});

test("a want that a holder could not serve is taken back, so that it does not send the block later", async (t) => {
  const dir = await temporaryDirectory(t);
  const [holder, fetcher] = [await openPeer(t, join(dir, "holder")), await openPeer(t, join(dir, "fetcher"))];
  const [late, other] = [rawBlock(noise(17, MIB)), rawBlock(noise(18, 100))];
  await fetcher.network.dial(holder.network.addresses()[0]!);
  const options = { holders: [holder.network.peerId] };
  await assert.rejects(fetcher.store.get(late.cid, options), { name: "UnavailableError" });
  await holder.store.put([late, other]);
  await fetcher.store.get(other.cid, options);
  assert.equal(holder.store.transferred.bytesOut, 100);
});

test("a block over 1 MiB from another IPFS program is refused and not kept", async (t) => {
  const dir = await temporaryDirectory(t);
  const fetcher = await openPeer(t, join(dir, "fetcher"));
  // Helia with its defaults, which allow blocks of 4 MiB.
  const { libp2p } = await startPeer(t);
  const foreign = Object.assign(createHeliaLight(), { libp2p });
  withBitswap(foreign);
  await foreign.start();
  t.after(() => foreign.stop());
  const bytes = noise(19, MIB + 1);
  const cid = CID.createV1(0x55, Digest.create(0x12, createHash("sha256").update(bytes).digest()));
  await foreign.blockstore.put(cid, bytes);
  await fetcher.network.dial(libp2p.getMultiaddrs()[0]!.toString());
  await assert.rejects(fetcher.store.get(cid, { holders: [libp2p.peerId.toString()] }), {
    name: "InvalidObjectError",
    message: /over the limit of 1 MiB/,
  });
  assert.equal(await fetcher.store.has(cid), false);
});
