/** The learning side of a peer: its shards, and what trains and scores paths on them. */
import type { CID } from "multiformats/cid";
import type { Clock } from "../clock.ts";
import { createBatches } from "../data/sequences.ts";
import { openShard } from "../data/shard.ts";
import type { TokenizedShard } from "../data/types.ts";
import { createEngine } from "../engine/engine.ts";
import { learningRateSchedule } from "../model/schedule.ts";
import type { ModelShape } from "../model/types.ts";
import { ShardObject } from "../objects/data.ts";
import type { Manifest, ShardReference } from "../objects/manifest.ts";
import { createPathTrainer } from "../swarm/rounds/path-trainer.ts";
import type { HoldoutScorer, PathTrainer } from "../swarm/types.ts";
import { createHoldoutScorer } from "./holdout.ts";
import { objectPin, type RunReader } from "./run-objects.ts";
import type { DeviceOptions } from "./types.ts";

/** Opens shards of a run, each once, fetched when they are not on this disk. */
export function createShards(
  reader: RunReader,
  vocabulary: number,
): (reference: ShardReference) => Promise<TokenizedShard> {
  const shards = new Map<string, Promise<TokenizedShard>>();

  async function fetchShard(cid: CID): Promise<TokenizedShard> {
    const object = ShardObject.decode(await reader.read(cid));
    const chunks = [...object.chunks, ...object.lengths];
    await reader.store.retain(objectPin(cid), [cid, ...chunks]);
    await reader.store.fetch(chunks, reader.options());
    return openShard(object, reader.read, { vocabulary, endOfText: object.endOfText });
  }

  return ({ shard: cid }) => {
    const key = cid.toString();
    const opening = shards.get(key) ?? fetchShard(cid);
    shards.set(key, opening);
    opening.catch(() => shards.delete(key));
    return opening;
  };
}

export interface LearningInit {
  clock: Clock;
  manifest: Manifest;
  shape: ModelShape;
  device: DeviceOptions;
  shard(reference: ShardReference): Promise<TokenizedShard>;
}

/** The engine in the role of a trainer of paths. */
export async function createTrainer({
  clock,
  manifest,
  shape,
  device,
  shard,
}: LearningInit): Promise<PathTrainer> {
  const { config } = manifest;
  const { training, routing } = config;
  const totalSteps = training.seedSteps + training.rounds * training.innerSteps;
  return createPathTrainer({
    clock,
    engine: await createEngine({ shape, batchSize: training.batchSize, ...device }),
    training,
    learningRate: learningRateSchedule(training, totalSteps),
    batches: async (path, replica) => {
      const own = await shard(manifest.shards[path]!);
      return createBatches(own, {
        sequenceLength: shape.sequenceLength,
        batchSize: training.batchSize,
        endOfText: own.endOfText,
        prefixTokens: routing.prefixTokens,
        maskPrefix: training.maskPrefix,
        seed: `${config.seed}/${path}`,
        replica,
        replicas: config.replicas,
      }).batchAt;
    },
  });
}

/** What tries contributions on held-out text; undefined in runs that do not. */
export function createScorer({
  manifest,
  shape,
  shard,
}: Pick<LearningInit, "manifest" | "shape" | "shard">): HoldoutScorer | undefined {
  const { outer, routing } = manifest.config;
  return (
    outer.holdout &&
    createHoldoutScorer({
      shape,
      sequences: outer.holdout.sequences,
      prefixTokens: routing.prefixTokens,
      holdout: (path) => shard(manifest.holdouts[path]!),
      validation: () => shard(manifest.validation),
    })
  );
}
