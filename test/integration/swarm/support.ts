/** Whole swarms in this process: real networks, stores and outer updates; only the training is a stand-in. */
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { type Logger, silentLogger } from "../../../src/log.ts";
import { type RunConfig, runConfigSchema } from "../../../src/objects/config.ts";
import { Manifest, ROUTER } from "../../../src/objects/manifest.ts";
import { dagCborCid } from "../../../src/objects/object.ts";
import type { TensorDescription } from "../../../src/objects/tensor-pack.ts";
import { PROTOCOL } from "../../../src/objects/protocol.ts";
import { Version } from "../../../src/objects/version.ts";
import { encodeTensors } from "../../../src/outer/codec.ts";
import { type OpenNode, openDirectory } from "../../../src/peer/directory.ts";
import { createRandom } from "../../../src/random.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { Swarm } from "../../../src/swarm/swarm.ts";
import type { KnownVersion } from "../../../src/outer/types.ts";
import type { PathTrainer, SwarmEvent } from "../../../src/swarm/types.ts";
import type { BootstrapNode } from "../../../bootstrap/bootstrap-node.ts";
import { awaited } from "../../waits.ts";
import { LOOPBACK, startBootstrap } from "../net/support.ts";

const TENSORS: TensorDescription[] = [{ name: "w", shape: [64] }];
const ELEMENTS = 64;

export function quickConfig(rounds: number): RunConfig {
  return runConfigSchema.parse({
    name: "quick",
    grid: [2],
    levels: [
      { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
      { name: "upper", parts: ["blocks 2-3", "head"], choose: "shared" },
    ],
    training: { rounds, innerSteps: 2, batchSize: 1 },
    outer: { maxStaleness: 32 },
    swarm: {
      heartbeatSeconds: 0.4,
      leaseSeconds: 2,
      settleSeconds: 0.1,
      graceSeconds: 5,
      antiEntropySeconds: 0.5,
    },
  });
}

/** Each step takes a hundredth off every weight. */
export const quickTrainer: PathTrainer = {
  device: "stand-in",
  prepare: async () => {},
  async train(slot, { parameters }, report, signal) {
    const steps = 2;
    for (let step = 1; step <= steps; step++) {
      signal.throwIfAborted();
      for (let i = 0; i < parameters.length; i++) parameters[i]! -= 0.01;
      const numbers = { loss: 1, learningRate: 1, gradientNorm: 1, tokensPerSecond: 1, millisecondsLeft: 0 };
      report.step({ ...slot, step, steps, ...numbers });
    }
    const moments = { step: steps, firstMoment: parameters, secondMoment: parameters };
    return { steps, loss: 1, tokensPerSecond: 1, moments };
  },
  close: async () => {},
};

export interface Member extends OpenNode {
  swarm: Swarm;
  events: SwarmEvent[];
  /** Emits `event` after every event of the swarm. */
  changes: EventEmitter;
  heads(): string;
}

export interface MemberInit {
  name: string;
  config: RunConfig;
  bootstrap: string[];
  searchMs?: number;
  trainer?: PathTrainer;
  logger?: Logger;
}

/** A directory and the members that live in it, which end before it does. */
export interface Arena {
  directory: string;
  members: Member[];
}

export async function createArena(t: Pick<TestContext, "after">): Promise<Arena> {
  const arena: Arena = { directory: await mkdtemp(join(tmpdir(), "pathweave-swarm-")), members: [] };
  t.after(async () => {
    await Promise.all(arena.members.map((member) => member.swarm.stop().finally(() => member.stop())));
    await rm(arena.directory, { recursive: true, force: true });
  });
  return arena;
}

/** A peer that trains. All that are started with one config are of one run. */
export async function startMember({ directory, members }: Arena, init: MemberInit): Promise<Member> {
  const { config, bootstrap, searchMs, trainer = quickTrainer, logger = silentLogger } = init;
  const node = await openDirectory(
    join(directory, init.name),
    { listen: [LOOPBACK], announce: [], bootstrap, mdns: false },
    silentLogger,
  );
  const { network, store, packs } = node;
  const topology = createTopology(config);
  const parameters = await packs.write({
    tensors: TENSORS,
    codec: "f32",
    bytes: encodeTensors(new Float32Array(ELEMENTS).fill(1), "f32"),
  });
  const nothing = dagCborCid(Uint8Array.of(0xa0));
  const genesis = new Map<string, KnownVersion>();
  for (const module of topology.moduleNames) {
    const none = { generation: 0, parent: null, contributions: [], tokens: 0 };
    const state: Version["state"] = module === ROUTER ? { router: nothing } : { parameters };
    const value = { module, state, ...none };
    const block = Version.encode(value);
    await store.put([block]);
    genesis.set(module, { ...value, cid: block.cid });
  }
  const shard = { shard: nothing, documents: 1, tokens: 1000 };
  const shards = Array.from({ length: topology.paths }, () => shard);
  const manifest = {
    protocol: PROTOCOL,
    // All members make the same manifest.
    creator: "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
    config,
    genesis: [...genesis].map(([module, { cid }]) => ({ module, version: cid })),
    tokenizer: nothing,
    shards,
    holdouts: shards,
    validation: shard,
  };
  const events: SwarmEvent[] = [];
  const changes = new EventEmitter();
  const swarm = new Swarm({
    clock: systemClock,
    random: createRandom(init.name, network.peerId),
    network,
    store,
    packs,
    run: Manifest.encode(manifest).cid,
    manifest,
    topology,
    genesis,
    tensors: () => TENSORS,
    sources: () => [],
    keep: async () => {},
    trainer,
    archive: true,
    memoryBytes: 0,
    ...(searchMs === undefined ? {} : { searchMs }),
    logger,
    emit(event) {
      events.push(event);
      changes.emit("event");
    },
  });
  const heads = (): string =>
    swarm
      .heads()
      .map(({ cid }) => cid)
      .join();
  const member: Member = { ...node, swarm, events, changes, heads };
  members.push(member);
  await swarm.start();
  return member;
}

/** Resolves when the condition holds for the members; it is looked at now and after every event of any of them. */
export async function eventually(members: Member[], condition: () => boolean): Promise<void> {
  while (!condition()) {
    const stop = new AbortController();
    const next = members.map(({ changes }) => once(changes, "event", { signal: stop.signal }));
    await awaited(`members until ${String(condition)}`, Promise.race(next));
    stop.abort();
    await Promise.allSettled(next);
  }
}

/** A half of a run: members that know each other by a bootstrap node of their own. */
export interface Half {
  bootstrap: BootstrapNode;
  members: Member[];
}

export async function startHalf(
  t: Pick<TestContext, "after">,
  arena: Arena,
  { peers, ...init }: Omit<MemberInit, "bootstrap"> & { peers: number },
): Promise<Half> {
  const node = await startBootstrap(t);
  const bootstrap = node.addresses();
  const members = await Promise.all(
    Array.from({ length: peers }, (_, i) =>
      startMember(arena, { ...init, name: `${init.name}${i}`, bootstrap }),
    ),
  );
  return { bootstrap: node, members };
}

/** Ways of linking two halves. */
export const LINKS = {
  "two bootstrap nodes": async (a: Half, b: Half) => {
    await a.bootstrap.libp2p.dial(b.bootstrap.libp2p.getMultiaddrs());
  },
  "two peers": (a: Half, b: Half) => a.members[1]!.network.dial(b.members[2]!.network.addresses()[0]!),
};

/** Whether every member has all rounds, and all have the same heads. */
export function complete(members: Member[]): boolean {
  const heads = new Set(members.map((member) => member.heads()));
  return heads.size === 1 && members.every(({ swarm }) => swarm.coordinator.done());
}
