/** A peer of real parts over a network in memory, where nothing but the swarm checks signatures: how often it does. */
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { type TestContext, test } from "node:test";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { delay } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/log.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { Manifest, ROUTER } from "../../../src/objects/manifest.ts";
import { dagCborCid } from "../../../src/objects/object.ts";
import { PROTOCOL } from "../../../src/objects/protocol.ts";
import { Version } from "../../../src/objects/version.ts";
import { tokensPerStep } from "../../../src/outer/rules.ts";
import type { KnownVersion } from "../../../src/outer/types.ts";
import { createRandom } from "../../../src/random.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { MemoryDisk } from "../../../src/sim/world/disk.ts";
import { MemoryNetwork, type MemoryPeer } from "../../../src/sim/world/network.ts";
import { Timeline } from "../../../src/sim/world/timeline.ts";
import { createPacks } from "../../../src/store/pack.ts";
import { openStore } from "../../../src/store/store.ts";
import { Heartbeat, LineageRecord } from "../../../src/swarm/messages.ts";
import { Swarm } from "../../../src/swarm/swarm.ts";
import type { SwarmEvent } from "../../../src/swarm/types.ts";
import { config as fastConfig } from "./fast-run.ts";

const NOTHING = dagCborCid(Uint8Array.of(0xa0));

async function world(t: TestContext) {
  const clock = new Timeline();
  const random = createRandom("decoding");
  const net = new MemoryNetwork({ clock, random });
  const config = fastConfig();
  const topology = createTopology(config);
  const genesis = new Map<string, KnownVersion>();
  for (const module of topology.moduleNames) {
    const state: Version["state"] = module === ROUTER ? { router: NOTHING } : { parameters: NOTHING };
    const value: Version = { module, generation: 0, parent: null, contributions: [], state, tokens: 0 };
    genesis.set(module, { ...value, cid: Version.encode(value).cid });
  }
  const shard = { shard: NOTHING, documents: 1, tokens: 1000 };
  const shards = Array.from({ length: topology.paths }, () => shard);
  const key = await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(1));
  const peer = net.join({ privateKey: key });
  const manifest: Manifest = {
    protocol: PROTOCOL,
    creator: peer.network.peerId,
    config,
    genesis: [...genesis].map(([module, { cid }]) => ({ module, version: cid })),
    tokenizer: NOTHING,
    shards,
    holdouts: shards,
    validation: shard,
  };
  const { files, database } = new MemoryDisk({ clock, random });
  const { store } = await openStore({ files, database, clock, source: (blocks) => peer.source(blocks) });
  const events: SwarmEvent[] = [];
  const swarm = new Swarm({
    clock,
    random,
    network: peer.network,
    store,
    packs: createPacks(store),
    run: Manifest.encode(manifest).cid,
    manifest,
    topology,
    genesis,
    tensors: () => [],
    sources: () => [],
    keep: async () => {},
    trainer: undefined,
    archive: false,
    memoryBytes: 0,
    logger: silentLogger,
    emit: (event) => events.push(event),
  });
  const author = net.join({
    privateKey: await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(2)),
    bootstrap: peer.network.addresses(),
  });
  let ended = false;
  void clock.run(Number.MAX_SAFE_INTEGER, () => ended);
  t.after(async () => {
    await swarm.stop();
    ended = true;
  });
  await swarm.start();
  await delay(clock, 1_000);
  return { clock, config, topology, genesis, manifest, author, events };
}

async function contributions(
  { topology, genesis, config, manifest }: Awaited<ReturnType<typeof world>>,
  author: MemoryPeer,
) {
  const run = Manifest.encode(manifest).cid;
  const records: { topic: string; bytes: Uint8Array }[] = [];
  for (let path = 0; path < topology.paths; path++) {
    const modules = topology.modulesOfPath(path);
    for (const module of modules) {
      const block = await Contribution.seal(
        {
          run,
          module,
          bases: topology
            .basesOfPath(path)
            .map((name) => ({ module: name, version: genesis.get(name)!.cid })),
          work: "train",
          round: 0,
          path,
          replica: 0,
          delta: NOTHING,
          tokens: tokensPerStep(config),
          steps: 1,
          loss: 1,
        },
        author.network.privateKey,
      );
      const topic = `/pathweave/${PROTOCOL}/${run.toString()}/${module}`;
      records.push({ topic, bytes: LineageRecord.encode({ run, block: block.bytes }).bytes });
    }
  }
  return records;
}

test("a record and a heartbeat are each decoded once, and a signature is verified once", async (t) => {
  const all = await world(t);
  const { author, clock, events, manifest } = all;
  const records = await contributions(all, author);
  const verified = t.mock.method(crypto, "verify");
  const opened = t.mock.method(LineageRecord, "decode");
  for (const { topic, bytes } of records)
    assert.equal((await author.network.publish(topic, bytes)).length, 1);
  await delay(clock, 1_000);
  assert.equal(events.filter(({ type }) => type === "contribution").length, records.length);
  assert.equal(opened.mock.callCount(), records.length);
  assert.equal(verified.mock.callCount(), records.length);

  const run = Manifest.encode(manifest).cid;
  const heartbeat = Heartbeat.encode({
    run,
    sequence: 1,
    periodSeconds: 1,
    role: "observer",
    leaving: false,
    leases: [],
    heads: new Uint8Array(32),
    tokensPerSecond: 0,
    memoryBytes: 0,
    bytesIn: 0,
    bytesOut: 0,
    device: "none",
  });
  const decoded = t.mock.method(Heartbeat, "decode");
  await author.network.publish(`/pathweave/${PROTOCOL}/${run.toString()}`, heartbeat.bytes);
  await delay(clock, 1_000);
  assert.ok(events.some((event) => event.type === "member" && event.peer === author.network.peerId));
  assert.equal(decoded.mock.callCount(), 1);
});
