/** Writes the shards and the holdouts of a run's paths. */
import { createBreath } from "../breath.ts";
import { splitHoldouts } from "../data/holdouts.ts";
import { ShardWriter } from "../data/shard.ts";
import { requirePathTargets } from "../data/targets.ts";
import type { ShardReference } from "../objects/manifest.ts";
import type { Store } from "../store/types.ts";
import { type CreateProgress, type PreparedRun, writeShard } from "./prepare.ts";

export interface ShardOptions {
  store: Store;
  paths: number;
  /** The path of each training document. */
  pathOfDocument: readonly number[];
  onProgress: (progress: CreateProgress) => void;
  signal: AbortSignal;
}

/** Resolves to the shards and the holdouts by path. Throws CorpusError when a path has too little to train on. */
export async function writeShards(
  { config, corpus, targets, surveyed, trained }: PreparedRun,
  { store, paths, pathOfDocument, onProgress, signal }: ShardOptions,
): Promise<{ shards: ShardReference[]; holdouts: ShardReference[] }> {
  const breath = createBreath(signal);
  const { endOfText } = corpus;
  const { vocabulary } = config.model;
  const writer = (name: string): ShardWriter => new ShardWriter({ name, endOfText, vocabulary });
  const writers = Array.from({ length: paths }, (_, path) => ({
    shard: writer(`path ${path}`),
    holdout: writer(`holdout ${path}`),
  }));
  const ofPath: number[][] = Array.from({ length: paths }, () => []);
  for (const [index, path] of pathOfDocument.entries()) ofPath[path]!.push(index);
  const ownDocuments = ofPath.map((indexes) => indexes.map((index) => trained[index]!));
  const heldOut = splitHoldouts(surveyed, ownDocuments, config.seed, config.data.holdoutFraction);
  for (const [path, indexes] of ofPath.entries()) {
    const shard = indexes.filter((index) => !heldOut.has(trained[index]!));
    const lengths = shard.map((index) => corpus.offset(index + 1) - corpus.offset(index));
    requirePathTargets(path, lengths, targets);
  }
  for (const [index, path] of pathOfDocument.entries()) {
    await breath();
    const kind = heldOut.has(trained[index]!) ? "holdout" : "shard";
    await store.put(writers[path]![kind].add(corpus.document(index)));
    if (index % 256 === 0) onProgress({ stage: "writing", done: index, total: pathOfDocument.length });
  }
  const shards: ShardReference[] = [];
  const holdouts: ShardReference[] = [];
  for (const { shard, holdout } of writers) {
    shards.push(await writeShard(store, shard));
    holdouts.push(await writeShard(store, holdout));
  }
  return { shards, holdouts };
}
