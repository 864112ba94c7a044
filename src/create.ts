/**
 * Makes a run from a corpus: tokenizer, split, dense warm start, routing, shards, genesis versions, manifest.
 * The warm start's weights become the genesis of every module (paper section 2.6).
 */
import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import type { CID } from "multiformats/cid";
import { createBreath } from "./breath.ts";
import { readDocuments } from "./data/documents.ts";
import { createBatches } from "./data/sequences.ts";
import { openShard, ShardWriter } from "./data/shard.ts";
import { isHoldout, splitOf } from "./data/split.ts";
import { encodeDocument, loadTokenizer } from "./data/tokenizer.ts";
import { trainTokenizer } from "./data/train-tokenizer.ts";
import type { Skipped, TextDocument, TokenizedShard } from "./data/types.ts";
import { createEngine, DEFAULT_DEVICE } from "./engine/engine.ts";
import type { Engine, StepRecord, TrainState } from "./engine/types.ts";
import { CorpusError } from "./errors.ts";
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

export interface CreateOptions {
  file: RunFile;
  store: Store;
  packs: Packs;
  /** @default the compiled engine on the CPU */
  device?: DeviceOptions;
  onProgress?(progress: CreateProgress): void;
  signal?: AbortSignal;
}

/** Options with every default filled in. */
type CreateInit = Required<CreateOptions>;

export interface CreatedRun {
  run: CID;
  manifest: Manifest;
  skipped: Skipped[];
  /** Documents and tokens by split. */
  counts: Record<"train" | "validation" | "router", { documents: number; tokens: number }>;
  /** The warm start's state, so that a dense baseline can go on from it. */
  seedState: TrainState;
  /** The whole training split, for a dense baseline. */
  corpus: TokenizedShard;
}

export async function createRun(options: CreateOptions): Promise<CreatedRun> {
  const { signal: never } = new AbortController();
  const init: CreateInit = { device: DEFAULT_DEVICE, onProgress: () => {}, signal: never, ...options };
  const { file, store, packs, onProgress, signal } = init;
  const skipped = new Map<string, Skipped>();
  const breath = createBreath(signal);
  async function* documents(): AsyncGenerator<TextDocument> {
    const onSkip = (document: Skipped): void => void skipped.set(document.source, document);
    for await (const document of readDocuments(file.corpus, { onSkip })) {
      await breath();
      yield document;
    }
  }

  // ------------------------------------------------------------ tokenizer
  onProgress({ stage: "tokenizer", done: 0 });
  const json =
    file.tokenizer === undefined
      ? Buffer.from(JSON.stringify(await trainTokenizer(documents(), { ...file.config.model, signal })))
      : await buffer(createReadStream(file.tokenizer));
  const tokenizer = loadTokenizer(json);
  // A small corpus gives fewer merges than asked for, a given tokenizer its own number.
  const config: RunConfig = {
    ...file.config,
    model: { ...file.config.model, vocabulary: tokenizer.vocabulary },
  };
  const topology = createTopology(config);
  const shape = modelShape(config.model);
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
  const ids: string[] = [];
  const counts = {
    train: { documents: 0, tokens: 0 },
    validation: { documents: 0, tokens: 0 },
    router: { documents: 0, tokens: 0 },
  };
  let done = 0;
  let longest = 0;
  for await (const document of documents()) {
    const tokens = encodeDocument(tokenizer, document.text);
    const split = splitOf(document.id, config.seed, config.data);
    await store.put(splits[split].add(tokens));
    counts[split].documents++;
    counts[split].tokens += tokens.length;
    if (split === "train") ids.push(document.id);
    if (split === "validation") longest = Math.max(longest, tokens.length);
    done++;
    if (done % 64 === 0) onProgress({ stage: "reading", done });
  }
  requireEnough(counts, topology, shape);
  // A path whose own holdout is too short is tried on these.
  if (config.outer.holdout !== undefined && longest <= prefixTokens)
    throw new CorpusError(
      `outer.holdout needs held-out text, and no held-out document has more than the ${prefixTokens} tokens that route it. ` +
        "Give more or longer text, or raise data.validationFraction.",
    );
  const open = async (shard: ShardWriter): Promise<TokenizedShard> => {
    const { object, blocks } = shard.finish();
    await store.put(blocks);
    return openShard(object, (cid) => store.get(cid, { signal }), { vocabulary, endOfText });
  };
  const corpus = await open(splits.train);
  const routerDocuments = await open(splits.router);
  const validation = await writeShard(store, splits.validation);

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
  const featureOptions = {
    prefixTokens,
    sequenceLength: prefixTokens,
    batchSize: config.training.batchSize,
    endOfText,
  };
  const total = routerDocuments.documents + corpus.documents;
  const read: FeatureFunction = (tokens, lengths) => reader.features(seedState.parameters, tokens, lengths);
  const featuresOfShard = (shard: TokenizedShard) =>
    featuresOf(Array(shard.documents).keys(), (index) => shard.document(index), read, featureOptions);
  const fitOptions = { paths: topology.paths, prefixTokens, seed: config.seed };
  let routerBlock: Block;
  try {
    let featured = 0;
    const fitted: Float32Array[] = [];
    // The router's own split suffices from some dozens of documents per path on; a small corpus lends its training documents.
    const samples =
      routerDocuments.documents >= 50 * topology.paths ? [routerDocuments] : [routerDocuments, corpus];
    for (const shard of samples)
      for await (const { features } of featuresOfShard(shard)) {
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
  const shardWriters = Array.from({ length: topology.paths }, (_, path) => ({
    shard: writer(`path ${path}`),
    holdout: writer(`holdout ${path}`),
  }));
  for (const [index, path] of paths.entries()) {
    await breath();
    const kind = isHoldout(ids[index]!, config.seed, config.data.holdoutFraction) ? "holdout" : "shard";
    await store.put(shardWriters[path]![kind].add(corpus.document(index)));
    if (index % 256 === 0) onProgress({ stage: "writing", done: index, total: paths.length });
  }
  const shards: ShardReference[] = [];
  const holdouts: ShardReference[] = [];
  for (const [path, writers] of shardWriters.entries()) {
    const { documents: own, tokens } = writers.shard;
    if (tokens <= shape.sequenceLength)
      throw new CorpusError(
        `Path ${path} got only ${own} documents with ${tokens} tokens. Give more or more varied text, or use a smaller grid.`,
      );
    shards.push(await writeShard(store, writers.shard));
    holdouts.push(await writeShard(store, writers.holdout));
  }

  // ------------------------------------------------------------ genesis and manifest
  const genesis = await writeGenesis(store, packs, topology, shape, seedState.parameters);
  const manifest: Manifest = {
    config,
    genesis,
    tokenizer: tokenizerBlock.cid,
    router: routerBlock.cid,
    shards,
    holdouts,
    validation,
  };
  const block = Manifest.encode(manifest);
  await store.put([block]);
  await store.retain("created", [
    block.cid,
    tokenizerBlock.cid,
    ...chunks.map((chunk) => chunk.cid),
    routerBlock.cid,
  ]);
  return { run: block.cid, manifest, skipped: [...skipped.values()], counts, seedState, corpus };
}

/** Trains the whole network densely on the whole corpus; with `more` steps it is the dense baseline. */
export async function* trainDense(
  engine: Engine,
  config: RunConfig,
  corpus: TokenizedShard,
  state: TrainState,
  range: { firstStep: number; steps: number },
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
  }).from(range.firstStep);
  const learningRate = learningRateSchedule(
    training,
    training.seedSteps + training.rounds * training.innerSteps,
  );
  yield* engine.train(state, batches, { ...range, learningRate, optimizer: optimizerOf(training), signal });
}

async function warmStart(
  { onProgress, signal }: CreateInit,
  config: RunConfig,
  shape: ModelShape,
  engine: Engine,
  corpus: TokenizedShard,
): Promise<TrainState> {
  const parameters = initialParameters(shape, config.seed);
  const zeros = (): Float32Array => new Float32Array(parameters.length);
  const state: TrainState = { parameters, firstMoment: zeros(), secondMoment: zeros(), step: 0 };
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

function requireEnough(counts: CreatedRun["counts"], topology: Topology, shape: ModelShape): void {
  if (counts.train.documents < topology.paths || counts.train.tokens <= topology.paths * shape.sequenceLength)
    throw new CorpusError(
      `The corpus has ${counts.train.documents} training documents with ${counts.train.tokens} tokens; ` +
        `${topology.paths} paths need at least ${topology.paths} documents and ${topology.paths * shape.sequenceLength} tokens. Give more text.`,
    );
  if (counts.validation.documents === 0)
    throw new CorpusError(
      `No document fell into the validation split; give more text or raise data.validationFraction.`,
    );
}
