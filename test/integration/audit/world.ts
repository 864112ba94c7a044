/** Data folders of peers, made by the production code without a network: the auditor's material. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { systemClock } from "../../../src/clock.ts";
import { createNode } from "../../../src/net/network.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import { type RunConfig, runConfigSchema } from "../../../src/objects/config.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { Manifest, ROUTER } from "../../../src/objects/manifest.ts";
import { type Block, dagCborCid } from "../../../src/objects/object.ts";
import type { TensorDescription } from "../../../src/objects/tensor-pack.ts";
import { PROTOCOL } from "../../../src/objects/protocol.ts";
import { Version } from "../../../src/objects/version.ts";
import { encodeTensors } from "../../../src/outer/codec.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";
import { createRandom } from "../../../src/random.ts";
import { createPlan } from "../../../src/plan/plan.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { blockPath } from "../../../src/store/layout.ts";
import { openNode } from "../../../src/store/helia.ts";
import type { Store } from "../../../src/store/types.ts";
import { readPack, writePack } from "../../../src/store/pack.ts";
import { createAnnouncers } from "../../../src/swarm/conduct/provenance.ts";
import { createModuleStates } from "../../../src/swarm/modules/module-states.ts";
import { nodeConfig } from "../net/support.ts";
import { node } from "../../unit/objects/samples.ts";
import { patient } from "../../waits.ts";

/** Two blocks of int8, the second one short. */
export const TENSORS: TensorDescription[] = [
  { name: "a", shape: [20, 12] },
  { name: "b", shape: [60] },
];
const ELEMENTS = 300;
const INNER_STEPS = 2;

function keyOf(label: string): Promise<PrivateKey> {
  return generateKeyPairFromSeed("Ed25519", Buffer.alloc(32, label));
}

/** Grid [2, 2], one replica, 3 rounds of two steps of 8 tokens. */
export function createConfig(outer: Partial<RunConfig["outer"]> = {}): RunConfig {
  return runConfigSchema.parse({
    name: "audited",
    grid: [2, 2],
    levels: [
      { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
      { name: "upper", parts: ["blocks 2-3", "head"], choose: 1 },
    ],
    model: { sequenceLength: 4 },
    training: { batchSize: 2, innerSteps: INNER_STEPS, rounds: 3 },
    outer: { maxStaleness: 2, ...outer },
    swarm: { leaseSeconds: 10 },
  });
}

export interface World {
  /** Folder of the one peer so far, closed. */
  directory: string;
  run: CID;
  config: RunConfig;
  /** Lineage of every module. */
  lineages: Map<string, Lineage>;
  /** What was added to the lineages, in order. */
  records: (KnownVersion | KnownContribution)[];
}

/** A peer with a run that is open for more. */
export interface OpenWorld extends World {
  /** Seals the work of a round of a path for all its modules and takes it in; `bases` are the heads when absent. */
  contribute(round: number, path: number, options?: ContributeOptions): Promise<KnownContribution[]>;
  /** Folds all that is pending of a module. */
  fold(module: string): Promise<KnownVersion>;
  /** Writes tensors of f32. */
  write(values: Float32Array): Promise<CID>;
  put(block: Block): Promise<void>;
  store: Store;
  heard(version: CID, by: string): Promise<void>;
  close(): Promise<void>;
}

export interface ContributeOptions {
  by?: string;
  bases?: ReadonlyMap<string, KnownVersion>;
  /** Whether the lineages hear of it; it is on disk anyway. */
  announce?: boolean;
  /** The outer gradient, for each module; random when absent. */
  delta?: Float32Array;
}

/** Opens a folder, which is new or a copy of one in which `earlier` records were made. */
export async function openWorld(
  directory: string,
  config: RunConfig,
  earlier: World["records"] = [],
): Promise<OpenWorld> {
  const network = await nodeConfig({ listen: [] });
  const opened = await openNode({
    dir: directory,
    clock: systemClock,
    libp2p: (data) => createNode(libp2pOptions(network), data),
  });
  const { store } = opened;
  const topology = createTopology(config);
  const numbers = (label: string): Float32Array => {
    const random = createRandom("audit", label);
    return Float32Array.from({ length: ELEMENTS }, () => 0.02 * random.normal());
  };
  const write = (values: Float32Array, codec: RunConfig["outer"]["codec"] = "f32"): Promise<CID> =>
    writePack(store, { tensors: TENSORS, codec, bytes: encodeTensors(values, codec) });
  const put = (block: Block): Promise<void> => store.put([block]);

  const genesis = new Map<string, KnownVersion>();
  for (const name of topology.moduleNames) {
    const version: Version = {
      module: name,
      generation: 0,
      parent: null,
      contributions: [],
      state: name === ROUTER ? { router: node("router") } : { parameters: await write(numbers(name)) },
      tokens: 0,
    };
    const block = Version.encode(version);
    await put(block);
    genesis.set(name, { ...version, cid: block.cid });
  }
  const shards = Array.from({ length: topology.paths }, (_, path) => ({
    shard: node(`shard ${path}`),
    documents: 10,
    tokens: 1000 * (path + 1),
  }));
  const named = [...genesis].map(([module, { cid }]) => ({ module, version: cid }));
  const manifest = Manifest.encode({
    protocol: PROTOCOL,
    creator: (await keyOf("the creator")).publicKey.toString(),
    config,
    genesis: named,
    tokenizer: node("tokenizer"),
    shards,
    holdouts: shards,
    validation: shards[0]!,
  });
  await put(manifest);
  const run = manifest.cid;
  const plan = createPlan({ config, topology, genesis: named, shards });
  const lineages = new Map(
    [...genesis].map(([module, version]) => [
      module,
      new Lineage({ module, genesis: version, topology, config, plan, runId: run }),
    ]),
  );
  const records: World["records"] = [];
  const add = (record: KnownVersion | KnownContribution): void => {
    const lineage = lineages.get(record.module)!;
    if ("signer" in record) lineage.addContribution(record);
    else lineage.addVersion(record);
    records.push(record);
  };
  for (const record of earlier) add(record);
  const states = createModuleStates({
    packs: {
      write: (pack) => writePack(store, pack),
      read: (cid, options) => readPack(store, cid, options),
      complete: () => Promise.resolve(true),
      blocks: (cid) => Promise.resolve([cid]),
    },
    outer: config.outer,
    tensors: () => TENSORS,
    weightOf: ({ path }) => shards[path]!.tokens,
  });
  const announcers = createAnnouncers(store);
  const signal = patient;

  return {
    directory,
    run,
    config,
    lineages,
    records,
    write,
    put,
    store,
    async contribute(round, path, { by = `peer of path ${path}`, bases, announce = true, delta } = {}) {
      const key = await keyOf(by);
      const made: KnownContribution[] = [];
      const started = topology.basesOfPath(path).map((module) => {
        const { cid: version } = bases?.get(module) ?? lineages.get(module)!.head();
        return { module, version };
      });
      for (const { module, version: base } of started.slice(0, -1)) {
        const value: Contribution = {
          run,
          module,
          bases: started,
          work: "train",
          round,
          path,
          replica: 0,
          delta: await write(delta ?? numbers([by, module, round, path].join()), config.outer.codec),
          tokens: INNER_STEPS * config.training.batchSize * config.model.sequenceLength,
          steps: INNER_STEPS,
          loss: 1,
        };
        const block = await Contribution.seal(value, key);
        await put(block);
        const contribution = { ...value, base, cid: block.cid, signer: key.publicKey.toString() };
        if (announce) add(contribution);
        made.push(contribution);
      }
      return made;
    },
    async fold(module) {
      const lineage = lineages.get(module)!;
      const { block, version } = await states.fold(lineage.head(), [], lineage.pending(), () => [], signal);
      await put(block);
      add(version);
      return version;
    },
    async heard(version, by) {
      announcers.heard(version, by, true);
      await announcers.flush();
    },
    close: () => opened.stop(),
  };
}

/** Every path through every round; the last path's second round comes late, and is folded with the third. */
export async function completeRun(world: OpenWorld): Promise<void> {
  const { lineages, config } = world;
  const heads = (): Map<string, KnownVersion> =>
    new Map([...lineages].map(([module, lineage]) => [module, lineage.head()]));
  let late = heads();
  for (let round = 0; round < config.training.rounds; round++) {
    const bases = heads();
    if (round === 2) await world.contribute(1, 3, { bases: late });
    late = bases;
    for (let path = 0; path < 4; path++)
      if (round !== 1 || path !== 3) await world.contribute(round, path, { bases });
    for (const { name } of createTopology(config).modules) await world.fold(name);
  }
}

/** Another peer with the same blocks. */
export async function duplicate(directory: string, to: string): Promise<string> {
  await cp(directory, to, { recursive: true });
  return to;
}

function fileOf(directory: string, cid: CID): string {
  return join(directory, blockPath(cid));
}

/** Takes a block from a folder. */
export async function drop(directory: string, cid: CID): Promise<void> {
  await rm(fileOf(directory, cid));
}

/** Flips one bit of a block in a folder. */
export async function flip(directory: string, cid: CID): Promise<void> {
  const bytes = await readFile(fileOf(directory, cid));
  bytes[bytes.length >> 1]! ^= 4;
  await writeFile(fileOf(directory, cid), bytes);
}

/** The CIDs of a version's parts: who holds them can go on from it. */
export function identify(version: Version): { block: Block; version: KnownVersion } {
  const block = Version.encode(version);
  return { block, version: { ...version, cid: dagCborCid(block.bytes) } };
}
