/**
 * Makes a run from a corpus: tokenizer, split, dense warm start, routing, shards, genesis versions, manifest.
 * The warm start's weights become the genesis of every module (paper section 2.6).
 */
import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import type { CID } from "multiformats/cid";
import { createBreath } from "./breath.ts";
import { readDocuments } from "./data/documents.ts";
import { CorpusSurvey, type DuplicateCounts, type SurveyedCorpus } from "./data/duplicates.ts";
import { LossCounter, type TokenizerLosses } from "./data/losses.ts";
import { createBatches, maskedTokens } from "./data/sequences.ts";
import { openShard, ShardWriter } from "./data/shard.ts";
import { splitCorpus, splitHoldout } from "./data/split.ts";
import { requireSome, SkippedLog } from "./data/skipped.ts";
import {
  countTargets,
  noTargets,
  requirePathTargets,
  requireTargets,
  type SplitTargets,
  type TargetOptions,
} from "./data/targets.ts";
import { encodeDocument, loadTokenizer } from "./data/tokenizer.ts";
import { trainTokenizer } from "./data/train-tokenizer.ts";
import type { Skipped, TextDocument, TokenizedShard } from "./data/types.ts";
import { createEngine } from "./engine/engine.ts";
import type { Engine, LearningRate, StepRecord, TrainState } from "./engine/types.ts";
import { elementsOfParts, initialParameters, modelShape, parameterSpecs } from "./model/parameters.ts";
import { learningRateSchedule } from "./model/schedule.ts";
import type { ModelShape } from "./model/types.ts";
import type { RunConfig } from "./objects/config.ts";
import { ShardObject, TokenizerObject } from "./objects/data.ts";
import { Manifest, type ShardReference } from "./objects/manifest.ts";
import { type Block, rawBlocks } from "./objects/object.ts";
import { Version } from "./objects/version.ts";
import { encodeTensors } from "./outer/codec.ts";
import type { DeviceOptions } from "./peer.ts";
import { type FeatureFunction, featuresOf, pathOf } from "./routing/features.ts";
import { fitRouter } from "./routing/kmeans.ts";
import { createRouter, decodeRouter, encodeRouter } from "./routing/router.ts";
import { createTopology } from "./run/topology.ts";
import type { RunFile, Topology } from "./run/types.ts";
import { objectOwner } from "./run-objects.ts";
import type { Store } from "./store/types.ts";
import { optimizerOf } from "./swarm/path-trainer.ts";
import type { Packs } from "./swarm/types.ts";

/** What `create` is doing, for progress bars. */
export type CreateProgress =
  | {
      stage: "tokenizer" | "reading" | "compiling" | "routing" | "fitting" | "writing";
      done: number;
      total?: number;
    }
  | { stage: "seed"; done: number; total: number; step: StepRecord };

export interface PrepareInit {
  file: RunFile;
  store: Store;
  onProgress(progress: CreateProgress): void;
  /** Where to note what cannot be read. */
  skipped?: SkippedLog;
  /** Called once all of the corpus was read, before anything is trained on it. What it throws ends the work. */
  onRead?(): void;
  signal: AbortSignal;
}

export interface CreateInit extends PrepareInit {
  packs: Packs;
  device: DeviceOptions;
}

/** What became of the corpus. */
export interface CorpusReport {
  skipped: SkippedLog;
  duplicates: DuplicateCounts;
  /** Characters without a token. */
  losses: TokenizerLosses;
  /** Texts that were too long to be held out whole, of which the last stretch was held out instead. */
  cut: number;
  /** Documents and tokens by split. */
  counts: Record<"train" | "validation" | "router", SplitTargets>;
}

export interface CreatedRun extends CorpusReport {
  run: CID;
  manifest: Manifest;
  /** The warm start's state: what a dense run of the same learning rate has come to by then. */
  seedState: TrainState;
  /** The whole training split, for dense baselines. */
  corpus: TokenizedShard;
}

/** A run's corpus in the store, split and tokenized, and what the split went by. */
export interface PreparedRun {
  /** The run file's, with the tokenizer's vocabulary. */
  config: RunConfig;
  tokenizer: { block: Block; chunks: Block[] };
  /** The whole training split. */
  corpus: TokenizedShard;
  /** Documents that fit the router. */
  routerDocuments: TokenizedShard;
  validation: ShardReference;
  targets: TargetOptions;
  surveyed: SurveyedCorpus;
  /** Which of the surveyed documents the training documents are. */
  trained: number[];
  report: CorpusReport;
}

/** Reads, splits and tokenizes a run's corpus. Throws CorpusError when it is too small. */
export async function prepareRun(init: PrepareInit): Promise<PreparedRun> {
  const { file, store, onProgress, signal } = init;
  const skipped = init.skipped ?? new SkippedLog();
  const breath = createBreath(signal);
  async function* documents(onSkip: (skipped: Skipped) => void): AsyncGenerator<TextDocument> {
    const { textFields, encoding } = file;
    for await (const document of readDocuments(file.corpus, { textFields, encoding, onSkip })) {
      await breath();
      yield document;
    }
  }

  // ------------------------------------------------------------ tokenizer
  onProgress({ stage: "tokenizer", done: 0 });
  const survey = new CorpusSurvey();
  const texts = survey.distinct(
    requireSome(
      documents((each) => skipped.add(each)),
      skipped,
    ),
    (seen) => {
      if (seen % 64 === 0) onProgress({ stage: "tokenizer", done: seen });
    },
  );
  let json: Buffer;
  if (file.tokenizer === undefined)
    json = Buffer.from(JSON.stringify(await trainTokenizer(texts, { ...file.config.model, signal })));
  else {
    json = await buffer(createReadStream(file.tokenizer));
    // Refused before the corpus is read.
    loadTokenizer(json);
    for await (const _ of texts);
  }
  const tokenizer = loadTokenizer(json);
  init.onRead?.();
  const surveyed = survey.finish();
  const { splitOf, cut } = splitCorpus(surveyed, file.config.seed, file.config.data);
  // A small corpus gives fewer merges than asked for, a given tokenizer its own number.
  const config: RunConfig = {
    ...file.config,
    model: { ...file.config.model, vocabulary: tokenizer.vocabulary },
  };
  const chunks = rawBlocks(json);
  await store.put(chunks);
  const tokenizerBlock = TokenizerObject.encode({
    bytes: json.byteLength,
    chunks: chunks.map((chunk) => chunk.cid),
  });
  await store.put([tokenizerBlock]);

  // ------------------------------------------------------------ reading
  const { prefixTokens } = config.routing;
  const { endOfText, vocabulary } = tokenizer;
  const writer = (name: string): ShardWriter => new ShardWriter({ name, endOfText, vocabulary });
  const splits = { train: writer("train"), validation: writer("validation"), router: writer("router") };
  const targets = {
    sequenceLength: config.model.sequenceLength,
    prefixTokens,
    maskPrefix: config.training.maskPrefix,
    paths: createTopology(config).paths,
    replicas: config.replicas,
  };
  const masked = maskedTokens(targets);
  const counts = { train: noTargets(), validation: noTargets(), router: noTargets() };
  const lost = new LossCounter();
  const trained: number[] = [];
  let done = 0;
  for await (const { index, document } of surveyed.pick(documents(() => {}))) {
    lost.nextDocument();
    const tokens = encodeDocument(tokenizer, document.text, lost.add);
    const split = splitOf(index);
    await store.put(splits[split].add(tokens));
    countTargets(counts[split], tokens.length, split === "validation" ? Math.max(prefixTokens, 1) : masked);
    if (split === "train") trained.push(index);
    done++;
    if (done % 64 === 0) onProgress({ stage: "reading", done });
  }
  requireTargets(counts.train, counts.validation, targets);
  const open = async (shard: ShardWriter): Promise<TokenizedShard> => {
    const { object, blocks } = shard.finish();
    await store.put(blocks);
    return openShard(object, (cid) => store.get(cid, { signal }), { vocabulary, endOfText });
  };
  const corpus = await open(splits.train);
  const routerDocuments = await open(splits.router);
  const validation = await writeShard(store, splits.validation);
  return {
    config,
    tokenizer: { block: tokenizerBlock, chunks },
    corpus,
    routerDocuments,
    validation,
    targets,
    surveyed,
    trained,
    report: {
      skipped,
      duplicates: surveyed.counts,
      losses: { ...lost.losses, hasUnknown: tokenizer.hasUnknown },
      cut,
      counts,
    },
  };
}

export async function createRun(init: CreateInit): Promise<CreatedRun> {
  const { store, packs, onProgress, signal } = init;
  const prepared = await prepareRun(init);
  const { config, tokenizer, corpus, routerDocuments, validation, report } = prepared;
  const { targets, surveyed, trained } = prepared;
  const topology = createTopology(config);
  const shape = modelShape(config.model);
  const { prefixTokens } = config.routing;
  const { vocabulary } = config.model;
  const { endOfText } = corpus;
  const masked = maskedTokens(targets);
  const breath = createBreath(signal);

  // ------------------------------------------------------------ warm start
  onProgress({ stage: "compiling", done: 0 });
  const engine = await createEngine({ shape, batchSize: config.training.batchSize, ...init.device });
  let seedState: TrainState;
  try {
    seedState = await warmStart(init, config, shape, engine, corpus);
  } finally {
    await engine.close();
  }

  // ------------------------------------------------------------ routing
  // Prefixes are short, so a network of their length costs a fraction of the whole one.
  const reader = await createEngine({
    shape: { ...shape, sequenceLength: prefixTokens },
    batchSize: config.training.batchSize,
    ...init.device,
  });
  const paths: number[] = [];
  const options = {
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
  ) => featuresOf(indexes, (index) => shard.document(index), read, options);
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
  const heldOut = new Set<number>();
  for (const [path, indexes] of ofPath.entries()) {
    const own = indexes.map((index) => trained[index]!);
    const isHeldOut = splitHoldout(surveyed, own, config.seed, config.data.holdoutFraction);
    const lengths: number[] = [];
    for (const [position, index] of indexes.entries())
      if (isHeldOut(position)) heldOut.add(index);
      else lengths.push(corpus.offset(index + 1) - corpus.offset(index));
    requirePathTargets(path, lengths, targets);
  }
  for (const [index, path] of paths.entries()) {
    await breath();
    const kind = heldOut.has(index) ? "holdout" : "shard";
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
  const manifest: Manifest = {
    config,
    genesis,
    tokenizer: tokenizer.block.cid,
    router: routerBlock.cid,
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
    routerBlock.cid,
  ]);
  return { run: block.cid, manifest, ...report, seedState, corpus };
}

/** Steps of a dense run. */
export interface DenseSteps {
  firstStep: number;
  steps: number;
  /** By default the run's schedule over the steps of one path. */
  learningRate?: LearningRate;
}

/** Trains the whole network densely on the whole corpus: the warm start, and the dense baselines. */
export async function* trainDense(
  engine: Engine,
  config: RunConfig,
  corpus: TokenizedShard,
  state: TrainState,
  steps: DenseSteps,
  signal: AbortSignal,
): AsyncGenerator<StepRecord> {
  const { training, model, routing } = config;
  const batches = createBatches(corpus, {
    sequenceLength: model.sequenceLength,
    batchSize: training.batchSize,
    endOfText: corpus.endOfText,
    prefixTokens: routing.prefixTokens,
    maskPrefix: training.maskPrefix,
    seed: `${config.seed}/dense`,
  }).from(steps.firstStep);
  const learningRate = learningRateSchedule(
    training,
    training.seedSteps + training.rounds * training.innerSteps,
  );
  yield* engine.train(state, batches, { learningRate, ...steps, optimizer: optimizerOf(training), signal });
}

/** Where every training starts: the run's initial weights, and no moments yet. */
export function initialState(shape: ModelShape, seed: number): TrainState {
  const parameters = initialParameters(shape, seed);
  const zeros = (): Float32Array => new Float32Array(parameters.length);
  return { parameters, firstMoment: zeros(), secondMoment: zeros(), step: 0 };
}

async function warmStart(
  { onProgress, signal }: CreateInit,
  config: RunConfig,
  shape: ModelShape,
  engine: Engine,
  corpus: TokenizedShard,
): Promise<TrainState> {
  const state = initialState(shape, config.seed);
  const total = config.training.seedSteps;
  let done = 0;
  for await (const step of trainDense(engine, config, corpus, state, { firstStep: 0, steps: total }, signal))
    onProgress({ stage: "seed", done: ++done, total, step });
  return state;
}

async function writeShard(store: Store, writer: ShardWriter): Promise<ShardReference> {
  const { object, blocks } = writer.finish();
  const block = ShardObject.encode(object);
  await store.put([...blocks, block]);
  await store.retain(objectOwner(block.cid), [block.cid, ...object.chunks, ...object.lengths]);
  return { shard: block.cid, documents: object.documents, tokens: object.tokens };
}

/** Generation 0 of every module: its slice of the warm start's weights. */
async function writeGenesis(
  store: Store,
  packs: Packs,
  topology: Topology,
  shape: ModelShape,
  parameters: Float32Array,
): Promise<Record<string, CID>> {
  const specs = parameterSpecs(shape);
  const elements = elementsOfParts(shape);
  const genesis: Record<string, CID> = {};
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
        parameters: pack,
        momentum: null,
        tokens: 0,
      });
      await store.put([block]);
      await store.retain(`genesis:${module.name}`, [block.cid, ...(await packs.blocks(pack))]);
      genesis[module.name] = block.cid;
    }
  }
  return genesis;
}

/** Numbers of the documents with more than `tokens` tokens. */
function* longerThan(shard: TokenizedShard, tokens: number): Generator<number, void, undefined> {
  for (let index = 0; index < shard.documents; index++)
    if (shard.offset(index + 1) - shard.offset(index) > tokens) yield index;
}
