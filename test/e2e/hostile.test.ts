/**
 * Hostile peers against a live swarm: three peers with the production network, store, fold and verification, joined by
 * intruders that break one rule each. A row says what the swarm does (the offence, whether it shuts the intruder out)
 * and what the attack costs each target at most: bytes of blocks fetched, and records kept.
 *
 * The peers settle their claims for an hour, so they are idle: nothing moves but what a test makes move, and every row
 * finds the same heads before and after.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { peerIdFromString } from "@libp2p/peer-id";
import type { CID } from "multiformats/cid";
import { dagCborCid, rawBlock } from "../../src/objects/object.ts";
import { encodeTensors } from "../../src/outer/codec.ts";
import { decodeInvite } from "../../src/run/invite.ts";
import { createPacks, readPack } from "../../src/store/pack.ts";
import { ANTI_ENTROPY_PROTOCOL } from "../../src/swarm/sync/anti-entropy.ts";
import type { Offence } from "../../src/swarm/conduct/offences.ts";
import { HeadRecord, headKey } from "../../src/swarm/sync/head-record.ts";
import { Ask } from "../../src/swarm/messages.ts";
import { createModuleStates } from "../../src/swarm/modules/module-states.ts";
import { noise } from "../integration/store/support.ts";
import {
  forgeVersion,
  type HonestPeer,
  type Intruder,
  intrude,
  openHonestPeer,
  openHonestSwarm,
  type Target,
  targetAt,
} from "./intruder.ts";
import { ROUNDS } from "./tiny-run.ts";
import { awaited, patient } from "../waits.ts";

const CLIP_MEDIAN = 2;
let folder: string;
const peers: HonestPeer[] = [];
const targets = new Map<string, Target>();

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "pathweave-hostile-"));
  const swarm = { settleSeconds: 3600, leaseSeconds: 7200, graceSeconds: 3600, owners: 3 };
  peers.push(...(await openHonestSwarm(folder, 3, { swarm, outer: { clipMedian: CLIP_MEDIAN } })));
  for (const peer of peers) {
    // So that all that is fetched from now on is fetched because of an intruder.
    for (const { name } of peer.topology.modules) await peer.swarm.parameters(name, "head", patient);
    const { shards, holdouts, validation } = peer.manifest;
    for (const shard of [...shards, ...holdouts, validation]) await peer.shard(shard);
    await peer.tokenizer();
    await peer.router();
  }
  const [first] = peers as [HonestPeer];
  for (const { name } of first.topology.modules) targets.set(name, await targetAt(first, name));
});

after(async () => {
  await Promise.all(peers.map((peer) => peer.stop()));
  await rm(folder, { recursive: true, force: true });
});

/** A module through which these paths run, and no other. */
function targetOf(...paths: number[]): Target {
  const { name } = peers[0]!.topology.modules.find(
    (module) => JSON.stringify(module.paths) === JSON.stringify(paths),
  )!;
  return targets.get(name)!;
}

/** The module of the rows, through which paths 0 and 1 run. */
const victim = (): Target => targetOf(0, 1);
const otherRun = dagCborCid(Uint8Array.of(0xa0));
const nobodyHas = (label: string): CID => dagCborCid(Buffer.from(label));
const headsOf = (peer: HonestPeer): string[] => peer.swarm.heads().map(({ cid }) => cid);
const recordsOf = ({ swarm, topology }: HonestPeer): number =>
  topology.modules.reduce((sum, { name }) => {
    const lineage = swarm.lineage(name);
    return sum + lineage.versions().length + lineage.contributions().length;
  }, 0);

/** Changes a signed block without signing it again. */
function tamper(block: Uint8Array, change: (envelope: { signature: Uint8Array }) => void): Uint8Array {
  const envelope = dagCbor.decode<{ signature: Uint8Array }>(block);
  change(envelope);
  return dagCbor.encode(envelope);
}

interface Row {
  name: string;
  attack(eve: Intruder): Promise<unknown>;
  /** What the intruder is charged with by every peer; it ends shut out. */
  offence: Offence;
  /** At most, for each peer: bytes of blocks fetched, and records that are kept for ever. */
  bytes?: number;
  records?: number;
}

/** Two contributions with the given outer gradient, to different paths. */
const contributions =
  (delta: (eve: Intruder, target: Target) => Promise<CID>): Row["attack"] =>
  async (eve) => {
    const target = victim();
    const cid = await delta(eve, target);
    for (const forPath of [0, 1])
      await eve.announce(target.module, await eve.contribution(target, forPath, cid));
  };
/** All numbers of a module alike, encoded as the run's contributions are. */
const filled = (value: number): Row["attack"] =>
  contributions((eve, target) =>
    eve.pack(target, "bf16", encodeTensors(new Float32Array(target.elements).fill(value), "bf16")),
  );
const bits = (halfWord: number): Row["attack"] =>
  contributions((eve, target) =>
    eve.pack(target, "bf16", new Uint8Array(new Uint16Array(target.elements).fill(halfWord).buffer)),
  );
/** What two contributions of one outer gradient cost: the gradient once, with its metadata. */
const GRADIENT = { bytes: 64 << 10, records: 2 };

/** Signed contributions that break a rule of the run, to each path. */
const rule =
  (changes: Parameters<Intruder["contribution"]>[3]): Row["attack"] =>
  async (eve) => {
    const target = victim();
    for (const forPath of [0, 1])
      await eve.announce(target.module, await eve.contribution(target, forPath, nobodyHas("x"), changes));
  };
const request =
  (bytes: (eve: Intruder) => Uint8Array): Row["attack"] =>
  async (eve) => {
    for (const { network } of peers)
      for (let i = 0; i < 4; i++)
        await assert.rejects(eve.network.request(network.peerId, ANTI_ENTROPY_PROTOCOL, bytes(eve)), {
          name: "NetworkError",
        });
  };
const twice =
  (publish: (eve: Intruder, time: number) => Promise<unknown>): Row["attack"] =>
  async (eve) => {
    for (const time of [1, 2]) await publish(eve, time);
  };

const rows: Row[] = [
  {
    name: "oversized messages",
    offence: "malformed-message",
    attack: twice((eve) => eve.publish(noise(1, 300_000))),
  },
  {
    name: "malformed messages on the run's topic",
    offence: "malformed-message",
    attack: twice((eve, time) => eve.publish(noise(time, 200))),
  },
  {
    name: "malformed messages on a module's topic",
    offence: "malformed-message",
    attack: twice((eve, time) => eve.publish(noise(time, 200), victim().module)),
  },
  {
    name: "heartbeats of another run",
    offence: "malformed-message",
    attack: twice((eve) => eve.publish(eve.heartbeat({ run: otherRun }))),
  },
  { name: "malformed requests", offence: "bad-exchange", attack: request(() => noise(3, 100)) },
  {
    name: "requests about another run",
    offence: "bad-exchange",
    attack: request(() => Ask.encode({ run: otherRun, modules: [] }).bytes),
  },
  {
    name: "forged signatures",
    offence: "malformed-message",
    attack: twice(async (eve, time) => {
      const { bytes } = await eve.contribution(victim(), time - 1, nobodyHas("x"));
      const forged = tamper(bytes, ({ signature }) => (signature[5]! ^= 1));
      await eve.announce(victim().module, { cid: dagCborCid(forged), bytes: forged });
    }),
  },
  {
    name: "missing signatures",
    offence: "malformed-message",
    attack: twice(async (eve, time) => {
      const { bytes } = await eve.contribution(victim(), time - 1, nobodyHas("x"));
      const forged = tamper(bytes, (envelope) => (envelope.signature = new Uint8Array()));
      await eve.announce(victim().module, { cid: dagCborCid(forged), bytes: forged });
    }),
  },
  {
    name: "records on the topic of another module",
    offence: "malformed-message",
    attack: twice(async (eve, time) =>
      eve.announce(targetOf(2, 3).module, await eve.contribution(victim(), time - 1, nobodyHas("x"))),
    ),
  },
  { name: "contributions to another run", offence: "invalid-record", attack: rule({ run: otherRun }) },
  {
    name: "contributions to a round after the last",
    offence: "invalid-record",
    attack: rule({ round: ROUNDS }),
  },
  {
    name: "contributions to a replica that there is not",
    offence: "invalid-record",
    attack: rule({ replica: 9 }),
  },
  {
    name: "contributions that claim more work",
    offence: "invalid-record",
    attack: rule({ tokens: 2 ** 40 }),
  },
  {
    name: "contributions to a path that is not the module's",
    offence: "invalid-record",
    attack: twice(async (eve, time) =>
      eve.announce(victim().module, await eve.contribution(victim(), 0, nobodyHas("x"), { path: time + 1 })),
    ),
  },
  { name: "contributions of NaN", offence: "invalid-contribution", attack: bits(0x7fc0), ...GRADIENT },
  { name: "infinite contributions", offence: "invalid-contribution", attack: bits(0x7f80), ...GRADIENT },
  { name: "huge contributions", offence: "invalid-contribution", attack: filled(1e6), ...GRADIENT },
  { name: "zero contributions", offence: "invalid-contribution", attack: filled(0), ...GRADIENT },
  {
    name: "contributions of the wrong shape",
    offence: "invalid-contribution",
    attack: contributions((eve, { elements }) =>
      eve.pack({ tensors: [{ name: "weight", shape: [elements - 1] }] }, "bf16", noise(4, 2 * elements - 2)),
    ),
    ...GRADIENT,
  },
  {
    name: "contributions in another codec",
    offence: "invalid-contribution",
    attack: contributions((eve, target) => eve.pack(target, "f32", new Uint8Array(4 * target.elements))),
    ...GRADIENT,
  },
  {
    name: "contributions of many times the module's size, which are not even fetched",
    offence: "invalid-contribution",
    attack: contributions((eve, { elements }) =>
      eve.pack({ tensors: [{ name: "weight", shape: [100 * elements] }] }, "f32", noise(5, 400 * elements)),
    ),
    ...GRADIENT,
  },
  {
    name: "two outcomes of one fold",
    offence: "contradiction",
    attack: twice((eve, time) =>
      eve.announce(
        victim().module,
        forgeVersion(peers[0]!, victim().module, {
          contributions: [nobodyHas("a contribution")],
          state: { parameters: nobodyHas(`outcome ${time}`), momentum: nobodyHas(`outcome ${time}`) },
        }),
      ),
    ),
  },
  {
    name: "a genesis of its own",
    offence: "invalid-record",
    attack: async (eve) => {
      for (const { module } of [victim(), targetOf(2, 3)])
        await eve.announce(
          module,
          forgeVersion(peers[0]!, module, {
            generation: 0,
            parent: null,
            state: { parameters: nobodyHas("initial weights") },
          }),
        );
    },
  },
  {
    name: "versions that claim more weight than they fold",
    offence: "invalid-record",
    records: 2,
    bytes: 2 * GRADIENT.bytes,
    attack: async (eve) => {
      for (const [target, forPath] of [
        [victim(), 0],
        [targetOf(2, 3), 2],
      ] as const) {
        const { block } = await plausible(eve, forPath, target);
        const forged = { contributions: [block.cid], tokens: 2 ** 40 };
        await eve.announce(target.module, forgeVersion(peers[0]!, target.module, forged));
      }
    },
  },
  {
    name: "a version that is not what its contributions fold to",
    offence: "invalid-version",
    records: 2,
    bytes: GRADIENT.bytes,
    attack: async (eve) => {
      const target = victim();
      const { block, tokens } = await plausible(eve, 0);
      const poison = await eve.pack(target, "f32", new Uint8Array(noise(6, 4 * target.elements)));
      // With the weight of its contribution it is the head, until it is folded again.
      const { bytes, cid } = forgeVersion(peers[0]!, target.module, {
        contributions: [block.cid],
        state: { parameters: poison, momentum: poison },
        tokens,
      });
      await eve.announce(target.module, { bytes, cid });
      for (const peer of peers)
        await peer.said((event) => event.type === "rejected" && event.cid === cid.toString());
    },
  },
];

/**
 * An outer gradient as training might give it, which is accepted. The rows contribute to the first path of a module
 * only, so that no generation closes.
 */
async function plausible(
  eve: Intruder,
  forPath: number,
  target = victim(),
  changes: Parameters<Intruder["contribution"]>[3] = {},
) {
  const delta = Float32Array.from(noise(forPath, target.elements), (byte) => (byte - 127.5) / 1e6);
  const block = await eve.contribution(target, forPath, delta, changes);
  await eve.announce(target.module, block);
  for (const peer of peers)
    await peer.said((event) => event.type === "contribution" && event.cid === block.cid.toString());
  const { tokens } = peers[0]!.swarm.lineage(target.module).contribution(block.cid)!;
  return { block, tokens, norm: Math.hypot(...delta) };
}

interface Before {
  heads: string[];
  bytes: number;
  records: number;
}

const look = (): Before[] =>
  peers.map((peer) => ({
    heads: headsOf(peer),
    bytes: peer.store.transferred.bytesIn,
    records: recordsOf(peer),
  }));

/** Asserts that all heads are what they were, and what was fetched and kept since. */
function assertCost(before: Before[], { bytes = 0, records = 0 }: Pick<Row, "bytes" | "records">): void {
  for (const [index, now] of look().entries()) {
    assert.deepEqual(now.heads, before[index]!.heads, "the heads are what they were");
    const fetched = now.bytes - before[index]!.bytes;
    assert.ok(fetched <= bytes, `peer ${index + 1} fetched ${fetched} bytes, allowed are ${bytes}`);
    const kept = now.records - before[index]!.records;
    assert.ok(kept <= records, `peer ${index + 1} keeps ${kept} records, allowed are ${records}`);
  }
}

/** Resolves when all peers have heard a heartbeat of the intruder that was sent after all it said before. */
async function heardOut(eve: Intruder): Promise<void> {
  await eve.publish(eve.heartbeat({ leaving: true }));
  for (const peer of peers)
    await peer.said((event) => event.type === "member" && event.peer === eve.id && event.state === "left");
}

const chargesOf = (eve: Intruder): string[] =>
  peers.flatMap(({ events }) =>
    events.flatMap((event) =>
      event.type === "offence" && event.peer === eve.id ? [`${event.offence}: ${event.reason}`] : [],
    ),
  );

describe("a hostile peer is shut out for", () => {
  for (const { name, attack, offence, ...cost } of rows)
    test(name, async (t) => {
      const before = look();
      const eve = await intrude(t, folder, peers);
      await attack(eve);
      for (const peer of peers) {
        const blocked = await peer.said((event) => event.type === "blocked" && event.peer === eve.id);
        assert.ok(blocked.type === "blocked");
        assert.equal(blocked.offence, offence);
        await eve.shutOutBy(peer);
      }
      assertCost(before, cost);
    });

  test("a while: it cannot come back, its leases and its word count for nothing, and the evidence is kept", async (t) => {
    const eve = await intrude(t, folder, peers);
    await twice((_, time) => eve.publish(noise(time, 100)))(eve);
    for (const peer of peers) await eve.shutOutBy(peer);
    for (const { network, swarm, directory } of peers) {
      await eve.network.dial(network.addresses()[0]!).catch(() => {});
      await assert.rejects(
        eve.network.request(
          network.peerId,
          ANTI_ENTROPY_PROTOCOL,
          Ask.encode({ run: peers[0]!.run, modules: [] }).bytes,
        ),
        { name: "NetworkError" },
      );
      assert.equal(swarm.coordinator.membership.member(eve.id), undefined);
      assert.deepEqual(swarm.coordinator.leases.of(eve.id, performance.now()), []);
      const lines = (await readFile(path.join(directory, "evidence.ndjson"), "utf8")).trimEnd().split("\n");
      const own = lines.map((line) => JSON.parse(line)).filter(({ peer }) => peer === eve.id);
      assert.deepEqual(
        own.map(({ offence }) => offence),
        ["malformed-message", "malformed-message"],
      );
      assert.deepEqual(Buffer.from(own[0].bytes, "base64"), Buffer.from(noise(1, 100)));
    }
  });
});

describe("no harm comes from", () => {
  test("replayed messages, which count once", async (t) => {
    const eve = await intrude(t, folder, peers);
    const before = look();
    const { block } = await plausible(eve, 0);
    const lease = { work: "train" as const, round: 0, path: 3, replica: 0, progress: 0.5 };
    const heartbeat = eve.heartbeat({ leases: [lease] });
    const newer = eve.heartbeat({});
    for (let i = 0; i < 5; i++) await eve.announce(victim().module, block);
    for (const bytes of [heartbeat, newer, heartbeat, heartbeat]) await eve.publish(bytes);
    await heardOut(eve);
    for (const { events, swarm } of peers) {
      const taken = events.filter((event) => event.type === "contribution" && event.from === eve.id);
      assert.equal(taken.length, 1);
      assert.deepEqual(
        swarm.coordinator.leases.of(eve.id, performance.now()),
        [],
        "an old lease does not revive",
      );
    }
    assert.deepEqual(chargesOf(eve), [], "it cannot be told from bad luck");
    assertCost(before, { bytes: GRADIENT.bytes, records: 1 });
  });

  test("messages in another peer's name", async (t) => {
    const eve = await intrude(t, folder, peers);
    const [first, ...others] = peers as [HonestPeer, ...HonestPeer[]];
    const goodbye = eve.heartbeat({ leaving: true, sequence: Number.MAX_SAFE_INTEGER });
    const { pubsub } = eve.libp2p.services;
    const own: object = Reflect.get(pubsub, "publishConfig");
    // Signed by the intruder as the first peer.
    Reflect.set(pubsub, "publishConfig", { ...own, author: peerIdFromString(first.network.peerId) });
    await eve.publish(goodbye);
    Reflect.set(pubsub, "publishConfig", own);
    await heardOut(eve);
    for (const { swarm } of others)
      assert.equal(swarm.coordinator.membership.member(first.network.peerId)?.heartbeat.leaving, false);
  });

  test("leases on everything: one slot is kept from others, the rest is not", async (t) => {
    const eve = await intrude(t, folder, peers);
    const leases = Array.from({ length: 64 }, (_, i) => ({
      work: "train" as const,
      round: i >> 2,
      path: i & 3,
      replica: 0,
      progress: 0,
    }));
    await eve.publish(eve.heartbeat({ leases }));
    await eve.publish(eve.heartbeat({ leases, role: "worker", device: "the last one" }));
    // What it says later is heard later.
    await plausible(eve, 0);
    for (const { swarm } of peers) {
      assert.equal(swarm.coordinator.membership.member(eve.id)?.heartbeat.device, "the last one");
      assert.equal(swarm.coordinator.leases.of(eve.id, performance.now()).length, 1);
    }
    await heardOut(eve);
    for (const { swarm } of peers)
      assert.deepEqual(
        swarm.coordinator.leases.of(eve.id, performance.now()),
        [],
        "they end with their holder",
      );
  });

  test("versions over contributions or parents that nobody has: they wait in bounded memory", async (t) => {
    const eve = await intrude(t, folder, peers);
    const before = look();
    const { module } = victim();
    for (let i = 0; i < 20; i++) {
      const contribution = nobodyHas(`contribution ${i}`);
      const claims = [
        { contributions: [contribution] },
        { contributions: [contribution], parent: nobodyHas(`parent ${i}`) },
      ];
      for (const claim of claims)
        await eve.announce(module, forgeVersion(peers[0]!, module, { ...claim, tokens: 2 ** 40 }));
    }
    await heardOut(eve);
    assertCost(before, {});
  });

  test("false head records in the DHT: a newcomer finds the true heads all the same", async (t) => {
    const eve = await intrude(t, folder, peers);
    const { run, topology } = peers[0]!;
    for (const { name: module } of topology.modules) {
      const record = { run, module, head: nobodyHas(module), generation: 1000, tokens: 2 ** 50 };
      const { bytes } = await HeadRecord.seal(record, eve.key);
      await eve.network.putRecord(headKey(run, module), bytes, patient);
    }
    await assert.rejects(eve.network.putRecord(headKey(run, "lower/0"), noise(7, 200)), {
      name: "NetworkError",
    });
    const newcomer = await openHonestPeer({
      directory: await mkdtemp(path.join(folder, "newcomer-")),
      invite: decodeInvite(peers[0]!.invite()!),
      role: "observer",
    });
    t.after(() => newcomer.stop());
    await newcomer.swarm.start();
    await newcomer.swarm.synchronised(patient);
    assert.deepEqual(headsOf(newcomer), headsOf(peers[0]!));
  });

  test("requests for blocks without end: others are served", async (t) => {
    const eve = await intrude(t, folder, peers);
    const dora = await intrude(t, folder, peers);
    const before = peers.map(({ store }) => store.transferred.bytesOut);
    const stop = new AbortController();
    const holders = peers.map(({ network }) => network.peerId);
    const greed = Array.from({ length: 500 }, (_, i) =>
      eve.store.get(rawBlock(Buffer.from(`missing ${i}`)).cid, { holders, signal: stop.signal }).then(
        () => assert.fail("nobody has it"),
        () => {},
      ),
    );
    const parameters = peers[0]!.swarm.lineage(victim().module).head().state["parameters"]!;
    const { bytes } = await readPack(dora.store, parameters, { holders, maxBytes: 1 << 24 });
    assert.equal(bytes.byteLength, 4 * victim().elements);
    stop.abort();
    await Promise.all(greed);
    const sent = peers.reduce((sum, { store }, i) => sum + store.transferred.bytesOut - before[i]!, 0);
    assert.ok(
      sent < 2 * bytes.byteLength + 4096,
      `${sent} bytes were sent, all of them to who asked for what there is`,
    );
  });

  test("streams that never say anything: each peer holds sixteen of them, and answers others", async (t) => {
    const eve = await intrude(t, folder, peers);
    const dora = await intrude(t, folder, peers);
    const [{ network, run }] = peers as [HonestPeer];
    const streams = [];
    let refused = 0;
    for (let i = 0; i < 24; i++) {
      const stream = await eve.libp2p
        .dialProtocol(peerIdFromString(network.peerId), ANTI_ENTROPY_PROTOCOL, { negotiateFully: false })
        .catch(() => undefined);
      if (stream === undefined) refused++;
      else streams.push(stream);
    }
    const resets = streams.map(
      (stream) =>
        new Promise<void>((resolve) => {
          if (stream.status !== "open") resolve();
          else stream.addEventListener("close", () => resolve());
        }),
    );
    for (const stream of streams) if (stream.status === "open") stream.send(Uint8Array.of(200));
    let closed = refused;
    const ended = new Promise<void>((resolve) => {
      const count = (): void => void (++closed >= 24 - 16 && resolve());
      if (closed >= 24 - 16) resolve();
      for (const reset of resets) void reset.then(count);
    });
    await awaited("streams above the limit to be closed", ended);
    const ask = Ask.encode({ run, modules: [] }).bytes;
    assert.ok((await dora.network.request(network.peerId, ANTI_ENTROPY_PROTOCOL, ask)).byteLength > 0);
  });
});

describe("the swarm goes on", () => {
  /** The version of a generation that each peer folded or verified. */
  async function generation(module: string, number: number): Promise<string> {
    const cids = new Set<string>();
    for (const peer of peers) {
      const version = await peer.said(
        (event) => event.type === "version" && event.module === module && event.generation === number,
      );
      assert.ok(version.type === "version" && version.how !== "fetched");
      cids.add(version.cid);
    }
    assert.equal(cids.size, 1, "all made the same version");
    return [...cids][0]!;
  }

  test("when a contribution has a great norm: it moves a module no further than the others allow", async (t) => {
    const eve = await intrude(t, folder, peers);
    const dora = await intrude(t, folder, peers);
    eve.keepAlive();
    dora.keepAlive();
    const target = targetOf(0, 1, 2, 3);
    const { module } = target;
    // Against the direction of the others, too.
    const great = new Float32Array(target.elements).fill(-9000);
    await eve.announce(module, await eve.contribution(target, 0, great));
    const norms = [];
    for (const forPath of [0, 1, 2, 3]) norms.push((await plausible(dora, forPath, target)).norm);
    await generation(module, 1);
    const { swarm, manifest } = peers[0]!;
    const signal = patient;
    const start = await swarm.parameters(module, "genesis", signal);
    const end = await swarm.parameters(module, "head", signal);
    const { learningRate, momentum } = manifest.config.outer;
    const moved = Math.hypot(...end.map((value, i) => value - start[i]!));
    // η(1 + μ) · ρ · limit, with ρ ≤ √4 and a limit of two medians; unclipped it would be many thousands.
    const bound = learningRate * (1 + momentum) * 2 * CLIP_MEDIAN * Math.max(...norms);
    assert.ok(moved > 0 && moved <= bound, `it moved ${moved}, at most ${bound}`);
    for (const peer of peers) {
      const lineage = peer.swarm.lineage(module);
      const known = lineage.contributions().filter(({ signer }) => signer === eve.id);
      assert.equal(known.length, 1);
      const pending = lineage.pending().some(({ signer }) => signer === eve.id);
      assert.notEqual(lineage.folded(known[0]!.cid), pending, "folded, or to be folded");
    }
    assert.deepEqual(chargesOf(eve), [], "it cannot be told from bad training");
  });

  test("when a version leaves contributions out: they are folded later, once", async (t) => {
    const eve = await intrude(t, folder, peers);
    const dora = await intrude(t, folder, peers);
    eve.keepAlive();
    dora.keepAlive();
    const target = targetOf(0, 2);
    const { module, tensors } = target;
    const lineageOf = (peer: HonestPeer) => peer.swarm.lineage(module);
    const [first] = peers as [HonestPeer];
    const genesis = lineageOf(first).head();
    const taken = await plausible(dora, 0, target);

    // A right fold, but before the other path is in, and by one who is no owner.
    const states = createModuleStates({
      packs: createPacks(eve.store),
      outer: first.manifest.config.outer,
      tensors: () => tensors,
      weightOf: ({ path: ofPath }) => first.manifest.shards[ofPath]!.tokens,
    });
    const holders = [dora.id, ...peers.map(({ network }) => network.peerId)];
    const contribution = lineageOf(first).contribution(taken.block.cid)!;
    const signal = patient;
    const hasty = await states.fold(genesis, holders, [contribution], () => holders, signal);
    await eve.announce(module, hasty.block);
    assert.equal(await generation(module, 1), hasty.block.cid.toString());

    const left = await plausible(dora, 2, target, {
      bases: first.topology.basesOfPath(2).map((name) => ({
        module: name,
        version: name === module ? genesis.cid : first.swarm.lineage(name).head().cid,
      })),
    });
    for (let round = 1; round < ROUNDS; round++) {
      for (const forPath of [0, 2]) await plausible(dora, forPath, target, { round });
      await generation(module, round + 1);
    }
    for (const peer of peers) {
      const folded = lineageOf(peer)
        .ancestry()
        .flatMap((version) => version.contributions.map(String));
      for (const { block } of [taken, left])
        assert.equal(folded.filter((cid) => cid === block.cid.toString()).length, 1);
    }
    assert.equal(new Set(peers.map((peer) => lineageOf(peer).head().cid.toString())).size, 1);
  });
});

describe("a crowd does not part the peers:", () => {
  test("many identities at one address", async (t) => {
    const sybils = [];
    for (let i = 0; i < 8; i++) sybils.push(await intrude(t, folder, peers));
    for (const sybil of sybils) await sybil.publish(sybil.heartbeat({ role: "worker", device: "sybil" }));
    for (const peer of peers) {
      const { membership } = peer.swarm.coordinator;
      const live = (): string[] => membership.live(performance.now()).map((member) => member.peer);
      for (const other of peers.filter((each) => each !== peer)) {
        assert.ok(live().includes(other.network.peerId));
        assert.ok(peer.network.connections().some((connection) => connection.peer === other.network.peerId));
      }
    }
    for (const sybil of sybils) await heardOut(sybil);
  });

  test("many connections that never say who they are", async (t) => {
    const [first, ...others] = peers as [HonestPeer, ...HonestPeer[]];
    const port = Number(/tcp\/(\d+)/.exec(first.network.addresses()[0]!)![1]);
    const sockets = Array.from({ length: 120 }, () => connect(port, "127.0.0.1"));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    let closed = 0;
    const shut = new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.on("error", () => {});
        socket.resume();
        // Above fifty a second from one address they are closed at once; the rest may shake hands for some seconds.
        socket.on("close", () => void (++closed >= 120 - 50 && resolve()));
      }
    });
    await awaited("connections above the limit to be closed", shut);
    for (const other of others)
      assert.ok(first.network.connections().some(({ peer }) => peer === other.network.peerId));
  });
});
