/**
 * Makes a run from a corpus: tokenizer, split, dense warm start, routing, shards, genesis versions, manifest.
 * The warm start's weights become the genesis of every module (paper section 2.6).
 */
import type { CID } from "multiformats/cid";
import { createBreath } from "../breath.ts";
import { maskedTokens } from "../data/sequences.ts";
import { ShardWriter } from "../data/shard.ts";
import { splitHoldouts } from "../data/holdouts.ts";
import { requirePathTargets } from "../data/targets.ts";
import type { TokenizedShard } from "../data/types.ts";
import { initialState, trainDense } from "./dense.ts";
import { createEngine, DEFAULT_DEVICE } from "../engine/engine.ts";
import type { TrainState } from "../engine/types.ts";
import { elementsOfParts, modelShape, parameterSpecs } from "../model/parameters.ts";
import type { ModelShape } from "../model/types.ts";
import { Manifest, ROUTER, type ShardReference } from "../objects/manifest.ts";
import type { Block } from "../objects/object.ts";
import { PROTOCOL } from "../objects/protocol.ts";
import { Version } from "../objects/version.ts";
import { encodeTensors } from "../outer/codec.ts";
import type { DeviceOptions } from "../peer/types.ts";
import {
  type CorpusReport,
  PREPARE_DEFAULTS,
  type PrepareOptions,
  prepareRun,
  writeShard,
} from "./prepare.ts";
import { type FeatureFunction, featuresOf, pathOf } from "../routing/features.ts";
import { fitRouter } from "../routing/kmeans.ts";
import { createRouter, decodeRouter, encodeRouter } from "../routing/router.ts";
import { createTopology } from "../run/topology.ts";
import type { Topology } from "../run/types.ts";
import type { Store } from "../store/types.ts";
import type { Packs } from "../swarm/types.ts";

export interface CreateOptions extends PrepareOptions {
  packs: Packs;
  /** Peer id of who makes the run. */
  creator: string;
  /** @default the compiled engine on the CPU */
  device?: DeviceOptions;
}

export interface CreatedRun extends CorpusReport {
  run: CID;
  manifest: Manifest;
  /** The warm start's state: what a dense run of the same learning rate has come to by then. */
  seedState: TrainState;
  /** The whole training split, for dense baselines. */
  corpus: TokenizedShard;
}

export async function createRun(options: CreateOptions): Promise<CreatedRun> {
  const { store, packs, creator, device, onProgress, signal } = {
    ...PREPARE_DEFAULTS,
    device: DEFAULT_DEVICE,
    ...options,
  };
  const breath = createBreath(signal);
  const prepared = await prepareRun(options);
  const { config, tokenizer, corpus, routerDocuments, validation, report } = prepared;
  const { targets, surveyed, trained } = prepared;
  const topology = createTopology(config);
  const shape = modelShape(config.model);
  const { prefixTokens } = config.routing;
  const { vocabulary } = config.model;
  const { endOfText } = corpus;
  const masked = maskedTokens(targets);

  // ------------------------------------------------------------ warm start
  onProgress({ stage: "compiling", done: 0 });
  const engine = await createEngine({ shape, batchSize: config.training.batchSize, ...device });
  let seedState: TrainState;
  try {
    seedState = initialState(shape, config.seed);
    const total = config.training.seedSteps;
    const steps = trainDense(engine, config, corpus, seedState, { firstStep: 0, steps: total }, signal);
    let done = 0;
    for await (const step of steps) onProgress({ stage: "seed", done: ++done, total, step });
  } finally {
    await engine.close();
  }

  // ------------------------------------------------------------ routing
  // Prefixes are short, so a network of their length costs a fraction of the whole one.
  const reader = await createEngine({
    shape: { ...shape, sequenceLength: prefixTokens },
    batchSize: config.training.batchSize,
    ...device,
  });
  const paths: number[] = [];
  const featureOptions = {
    prefixTokens,
    sequenceLength: prefixTokens,
    batchSize: config.training.batchSize,
    endOfText,
  };
  const total = routerDocuments.documents + corpus.documents;
  const read: FeatureFunction = (tokens, lengths) => reader.features(seedState.parameters, tokens, lengths);
  const featuresOfShard = (
    shard: TokenizedShard,
    indexes: Iterable<number> = Array(shard.documents).keys(),
  ) => featuresOf(indexes, (index) => shard.document(index), read, featureOptions);
  const fitOptions = { paths: topology.paths, prefixTokens, seed: config.seed };
  let routerBlock: Block;
  try {
    let featured = 0;
    const fitted: Float32Array[] = [];
    // The router's own split suffices from some dozens of documents per path on; a small corpus lends its training documents.
    const samples =
      report.counts.router.useful >= 50 * topology.paths ? [routerDocuments] : [routerDocuments, corpus];
    // Documents without a target have no say: a path of such documents alone would have nothing to train on.
    for (const shard of samples)
      for await (const { features } of featuresOfShard(shard, longerThan(shard, masked))) {
        await breath();
        fitted.push(features);
        if (++featured % 64 === 0) onProgress({ stage: "routing", done: featured, total });
      }
    onProgress({ stage: "fitting", done: fitted.length });
    routerBlock = encodeRouter((await fitRouter(fitted, fitOptions, signal)).router);
    const router = createRouter(decodeRouter(routerBlock.bytes));
    for await (const { features } of featuresOfShard(corpus)) {
      await breath();
      paths.push(pathOf(router, features));
      if (paths.length % 64 === 0)
        onProgress({ stage: "routing", done: paths.length, total: corpus.documents });
    }
  } finally {
    await reader.close();
  }
  await store.put([routerBlock]);

  // ------------------------------------------------------------ shards
  const writer = (name: string): ShardWriter => new ShardWriter({ name, endOfText, vocabulary });
  const shardWriters = Array.from({ length: topology.paths }, (_, path) => ({
    shard: writer(`path ${path}`),
    holdout: writer(`holdout ${path}`),
  }));
  const ofPath: number[][] = Array.from({ length: topology.paths }, () => []);
  for (const [index, path] of paths.entries()) ofPath[path]!.push(index);
  const ownDocuments = ofPath.map((indexes) => indexes.map((index) => trained[index]!));
  const heldOut = splitHoldouts(surveyed, ownDocuments, config.seed, config.data.holdoutFraction);
  for (const [path, indexes] of ofPath.entries()) {
    const shard = indexes.filter((index) => !heldOut.has(trained[index]!));
    const lengths = shard.map((index) => corpus.offset(index + 1) - corpus.offset(index));
    requirePathTargets(path, lengths, targets);
  }
  for (const [index, path] of paths.entries()) {
    await breath();
    const kind = heldOut.has(trained[index]!) ? "holdout" : "shard";
    await store.put(shardWriters[path]![kind].add(corpus.document(index)));
    if (index % 256 === 0) onProgress({ stage: "writing", done: index, total: paths.length });
  }
  const shards: ShardReference[] = [];
  const holdouts: ShardReference[] = [];
  for (const writers of shardWriters) {
    shards.push(await writeShard(store, writers.shard));
    holdouts.push(await writeShard(store, writers.holdout));
  }

  // ------------------------------------------------------------ genesis and manifest
  const genesis = await writeGenesis(store, packs, topology, shape, seedState.parameters);
  const router = Version.encode({
    module: ROUTER,
    generation: 0,
    parent: null,
    contributions: [],
    state: { router: routerBlock.cid },
    tokens: 0,
  });
  await store.put([router]);
  genesis.push({ module: ROUTER, version: router.cid });
  const manifest: Manifest = {
    protocol: PROTOCOL,
    creator,
    config,
    genesis,
    tokenizer: tokenizer.block.cid,
    shards,
    holdouts,
    validation,
  };
  const block = Manifest.encode(manifest);
  await store.put([block]);
  await store.retain("created", [
    block.cid,
    tokenizer.block.cid,
    ...tokenizer.chunks.map((chunk) => chunk.cid),
    router.cid,
    routerBlock.cid,
  ]);
  return { run: block.cid, manifest, ...report, seedState, corpus };
}

/** Generation 0 of every module: its slice of the warm start's weights. */
async function writeGenesis(
  store: Store,
  packs: Packs,
  topology: Topology,
  shape: ModelShape,
  parameters: Float32Array,
): Promise<Manifest["genesis"]> {
  const specs = parameterSpecs(shape);
  const elements = elementsOfParts(shape);
  const genesis: Manifest["genesis"] = [];
  let offset = 0;
  for (const level of topology.levels) {
    const size = level.parts.reduce((sum, part) => sum + elements.get(part)!, 0);
    const tensors = specs
      .filter((spec) => level.parts.includes(spec.part))
      .map((spec) => ({ name: spec.name, shape: spec.shape }));
    const bytes = encodeTensors(parameters.subarray(offset, offset + size), "f32");
    offset += size;
    const pack = await packs.write({ tensors, codec: "f32", bytes });
    for (const module of topology.modules.filter((candidate) => candidate.level === level.index)) {
      const block = Version.encode({
        module: module.name,
        generation: 0,
        parent: null,
        contributions: [],
        state: { parameters: pack },
        tokens: 0,
      });
      await store.put([block]);
      await store.retain(`genesis:${module.name}`, [block.cid, ...(await packs.blocks(pack))]);
      genesis.push({ module: module.name, version: block.cid });
    }
  }
  return genesis;
}

/** Numbers of the documents with more than `tokens` tokens. */
function* longerThan(shard: TokenizedShard, tokens: number): Generator<number, void, undefined> {
  for (let index = 0; index < shard.documents; index++)
    if (shard.offset(index + 1) - shard.offset(index) > tokens) yield index;
}
