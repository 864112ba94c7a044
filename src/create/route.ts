/** Fits the router of a run, and routes its documents. */
import { createBreath } from "../breath.ts";
import { maskedTokens } from "../data/sequences.ts";
import type { TokenizedShard } from "../data/types.ts";
import { createEngine } from "../engine/engine.ts";
import { modelShape } from "../model/parameters.ts";
import type { Block } from "../objects/object.ts";
import type { DeviceOptions } from "../peer/types.ts";
import { type FeatureFunction, featuresOf, pathOf } from "../routing/features.ts";
import { fitRouter } from "../routing/kmeans.ts";
import { createRouter, decodeRouter, encodeRouter } from "../routing/router.ts";
import type { CreateProgress, PreparedRun } from "./prepare.ts";

/** The router's own split suffices from so many documents per path on. */
const DOCUMENTS_PER_PATH = 50;

export interface RouteOptions {
  paths: number;
  /** The network that reads the documents' prefixes. */
  parameters: Float32Array;
  device: DeviceOptions;
  onProgress: (progress: CreateProgress) => void;
  signal: AbortSignal;
}

/** Resolves to the router, and to the path of each training document. */
export async function routeCorpus(
  { config, corpus, routerDocuments, targets, report }: PreparedRun,
  { paths, parameters, device, onProgress, signal }: RouteOptions,
): Promise<{ router: Block; pathOfDocument: number[] }> {
  const breath = createBreath(signal);
  const { prefixTokens } = config.routing;
  const { batchSize } = config.training;
  const masked = maskedTokens(targets);
  // Prefixes are short, so a network of their length costs a fraction of the whole one.
  const shape = { ...modelShape(config.model), sequenceLength: prefixTokens };
  const reader = await createEngine({ shape, batchSize, ...device });
  const { endOfText } = corpus;
  const featureOptions = { prefixTokens, sequenceLength: prefixTokens, batchSize, endOfText };
  const read: FeatureFunction = (tokens, lengths) => reader.features(parameters, tokens, lengths);
  const featuresOfShard = (shard: TokenizedShard, indexes: Iterable<number>) =>
    featuresOf(indexes, (index) => shard.document(index), read, featureOptions);
  const total = routerDocuments.documents + corpus.documents;
  try {
    let featured = 0;
    const fitted: Float32Array[] = [];
    // A small corpus lends its training documents.
    const isEnough = report.counts.router.useful >= DOCUMENTS_PER_PATH * paths;
    const samples = isEnough ? [routerDocuments] : [routerDocuments, corpus];
    // Documents without a target have no say: a path of such documents alone would have nothing to train on.
    for (const shard of samples)
      for await (const { features } of featuresOfShard(shard, longerThan(shard, masked))) {
        await breath();
        fitted.push(features);
        if (++featured % 64 === 0) onProgress({ stage: "routing", done: featured, total });
      }
    onProgress({ stage: "fitting", done: fitted.length });
    const fit = await fitRouter(fitted, { paths, prefixTokens, seed: config.seed }, signal);
    const block = encodeRouter(fit.router);
    const router = createRouter(decodeRouter(block.bytes));
    const pathOfDocument: number[] = [];
    for await (const { features } of featuresOfShard(corpus, Array(corpus.documents).keys())) {
      await breath();
      pathOfDocument.push(pathOf(router, features));
      if (pathOfDocument.length % 64 === 0)
        onProgress({ stage: "routing", done: pathOfDocument.length, total: corpus.documents });
    }
    return { router: block, pathOfDocument };
  } finally {
    await reader.close();
  }
}

/** Numbers of the documents with more than `tokens` tokens. */
function* longerThan(shard: TokenizedShard, tokens: number): Generator<number, void, undefined> {
  for (let index = 0; index < shard.documents; index++)
    if (shard.offset(index + 1) - shard.offset(index) > tokens) yield index;
}
