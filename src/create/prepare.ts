/** The corpus of a run as it is trained on: read, split, tokenized, and in the store. */
import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import { createBreath } from "../breath.ts";
import { readDocuments } from "../data/documents.ts";
import { CorpusSurvey, type DuplicateCounts, type SurveyedCorpus } from "../data/duplicates.ts";
import { LossCounter, type TokenizerLosses } from "../data/losses.ts";
import { maskedTokens } from "../data/sequences.ts";
import { openShard, ShardWriter } from "../data/shard.ts";
import { splitCorpus } from "../data/split.ts";
import {
  countTargets,
  noTargets,
  requireTargets,
  type SplitTargets,
  type TargetOptions,
} from "../data/targets.ts";
import { requireSome, SkippedLog } from "../data/skipped.ts";
import { encodeDocument, loadTokenizer } from "../data/tokenizer.ts";
import { trainTokenizer } from "../data/train-tokenizer.ts";
import type { Skipped, TextDocument, TokenizedShard } from "../data/types.ts";
import type { StepRecord } from "../engine/types.ts";
import type { RunConfig } from "../objects/config.ts";
import { ShardObject, TokenizerObject } from "../objects/data.ts";
import type { ShardReference } from "../objects/manifest.ts";
import { type Block, rawBlocks } from "../objects/object.ts";
import { createTopology } from "../run/topology.ts";
import type { RunFile } from "../run/types.ts";
import { objectPin } from "../peer/run-objects.ts";
import type { Store } from "../store/types.ts";

/** What `create` is doing, for progress bars. */
export type CreateProgress =
  | {
      stage: "surveying" | "tokenizer" | "reading" | "compiling" | "routing" | "fitting" | "writing";
      done: number;
      total?: number;
    }
  | { stage: "seed"; done: number; total: number; step: StepRecord };

export interface PrepareOptions {
  file: RunFile;
  store: Store;
  onProgress?(progress: CreateProgress): void;
  /** Where to note what cannot be read. */
  skipped?: SkippedLog;
  /** Called once all of the corpus was read, before anything is trained on it. What it throws ends the work. */
  onRead?(): void;
  signal?: AbortSignal;
}

/** What became of the corpus. */
export interface CorpusReport {
  skipped: SkippedLog;
  duplicates: DuplicateCounts;
  /** Characters without a token. */
  losses: TokenizerLosses;
  /** Texts too long to hold out whole; `create` holds out their last stretch instead. */
  cut: number;
  /** Documents held out though they are near-equal to one on another side, since the corpus has no others. */
  apart: number;
  /** Documents and tokens by split. */
  counts: Record<"train" | "validation" | "router", SplitTargets>;
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

export const PREPARE_DEFAULTS = { onProgress() {}, onRead() {}, signal: new AbortController().signal };

/** Reads, splits and tokenizes a run's corpus. Throws CorpusError when it is too small. */
export async function prepareRun(options: PrepareOptions): Promise<PreparedRun> {
  const { file, store, skipped, onProgress, onRead, signal } = {
    ...PREPARE_DEFAULTS,
    skipped: new SkippedLog(),
    ...options,
  };
  const { textFields, encoding } = file;
  const breath = createBreath(signal);
  async function* documents(onSkip: (skipped: Skipped) => void): AsyncGenerator<TextDocument> {
    for await (const document of readDocuments(file.corpus, { textFields, encoding, onSkip })) {
      await breath();
      yield document;
    }
  }

  // ------------------------------------------------------------ tokenizer
  onProgress({ stage: "surveying", done: 0 });
  const survey = new CorpusSurvey();
  const readable = requireSome(
    documents((each) => skipped.add(each)),
    skipped,
  );
  const texts = survey.distinct(readable, (seen) => {
    if (seen % 64 === 0) onProgress({ stage: "surveying", done: seen });
  });
  const sampled = (async function* () {
    yield* texts;
    onProgress({ stage: "tokenizer", done: survey.documents });
  })();
  let json: Buffer;
  if (file.tokenizer === undefined)
    json = Buffer.from(JSON.stringify(await trainTokenizer(sampled, { ...file.config.model, signal })));
  else {
    json = await buffer(createReadStream(file.tokenizer));
    // Refused before the corpus is read.
    loadTokenizer(json);
    for await (const _ of texts);
  }
  const tokenizer = loadTokenizer(json);
  onRead();
  const surveyed = survey.finish();
  const { splitOf, cut, apart } = splitCorpus(surveyed, file.config.seed, file.config.data);
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
      apart,
      counts,
    },
  };
}

export async function writeShard(store: Store, writer: ShardWriter): Promise<ShardReference> {
  const { object, blocks } = writer.finish();
  const block = ShardObject.encode(object);
  await store.put([...blocks, block]);
  await store.retain(objectPin(block.cid), [block.cid, ...object.chunks, ...object.lengths]);
  return { shard: block.cid, documents: object.documents, tokens: object.tokens };
}
