/** Finds a learning rate for a run by dense runs on its own text that are shorter than the run. */
import { openShard } from "../data/shard.ts";
import type { TokenizedShard } from "../data/types.ts";
import { initialState, trainDense } from "./dense.ts";
import type { PreparedRun } from "./prepare.ts";
import { createEngine } from "../engine/engine.ts";
import type { Engine } from "../engine/types.ts";
import { DivergedError } from "../errors.ts";
import { scoreDocuments } from "../use/evaluate.ts";
import { modelShape } from "../model/parameters.ts";
import { learningRateSchedule } from "../model/schedule.ts";
import type { RunConfig } from "../objects/config.ts";
import { ShardObject } from "../objects/data.ts";
import type { DeviceOptions } from "../peer/types.ts";
import { createRandom } from "../random.ts";
import type { Store } from "../store/types.ts";
import { nextRate, type Trial } from "./tune-search.ts";

/** Held-out sequences that a trial is scored on, about: a tenth of the time of a trial of some hundred steps. */
const HELD_OUT_SEQUENCES = 512;
/** Steps whose losses are averaged to tell divergence from noise. */
const LOSSES = 10;
/** Nats per token above a uniform guess at which a loss counts as diverged. */
const MARGIN = 1;

export interface TuneInit {
  prepared: Pick<PreparedRun, "config" | "corpus" | "validation">;
  store: Pick<Store, "get">;
  device: DeviceOptions;
  /** Steps of a trial; its cosine ends there. */
  steps: number;
  /** What to try, in this order; a search around the run's own rate when absent. */
  rates?: readonly number[];
  signal: AbortSignal;
}

export type TuneEvent =
  | { type: "step"; learningRate: number; step: number; loss: number; milliseconds: number }
  | { type: "trial"; trial: Trial };

/** Trains once for each rate, from the run's initial weights. */
export async function* tune(init: TuneInit): AsyncGenerator<TuneEvent, void, undefined> {
  const { config, corpus } = init.prepared;
  const heldOut = await heldOutDocuments(init);
  const { batchSize } = config.training;
  const engine = await createEngine({ shape: modelShape(config.model), batchSize, ...init.device });
  try {
    const trials: Trial[] = [];
    const next = (): number | undefined =>
      init.rates === undefined ? nextRate(config.training.learningRate, trials) : init.rates[trials.length];
    for (let rate = next(); rate !== undefined; rate = next()) {
      const trial = yield* tryRate(init, engine, corpus, heldOut, rate);
      trials.push(trial);
      yield { type: "trial", trial };
    }
  } finally {
    await engine.close();
  }
}

async function* tryRate(
  { prepared: { config }, steps, signal }: TuneInit,
  engine: Engine,
  corpus: TokenizedShard,
  heldOut: Int32Array[],
  rate: number,
): AsyncGenerator<TuneEvent, Trial, undefined> {
  const { model, routing, training } = config;
  const state = initialState(modelShape(model), config.seed);
  const warmupSteps = Math.min(training.warmupSteps, Math.floor(steps / 4));
  const learningRate = learningRateSchedule({ ...training, learningRate: rate, warmupSteps }, steps);
  const losses: number[] = [];
  try {
    const range = { firstStep: 0, steps, learningRate };
    for await (const { loss, milliseconds } of trainDense(engine, config, corpus, state, range, signal)) {
      losses.push(loss);
      yield { type: "step", learningRate: rate, step: losses.length, loss, milliseconds };
      if (losses.length > warmupSteps && hasDiverged(losses, model)) break;
    }
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error;
    return { learningRate: rate, steps: losses.length, loss: undefined };
  }
  if (losses.length < steps) return { learningRate: rate, steps: losses.length, loss: undefined };
  const options = {
    sequenceLength: model.sequenceLength,
    batchSize: training.batchSize,
    prefixTokens: routing.prefixTokens,
    endOfText: corpus.endOfText,
  };
  const { nll, tokens } = await scoreDocuments(engine, state.parameters, heldOut, options, () =>
    signal.throwIfAborted(),
  );
  const loss = nll / tokens;
  return { learningRate: rate, steps, loss: Number.isFinite(loss) ? loss : undefined };
}

/** Whether the latest losses are far above that of a uniform guess, from which a network of right size starts. */
export function hasDiverged(
  losses: readonly number[],
  { vocabulary }: Pick<RunConfig["model"], "vocabulary">,
): boolean {
  const latest = losses.slice(-LOSSES);
  const mean = latest.reduce((sum, loss) => sum + loss, 0) / LOSSES;
  return latest.length === LOSSES && mean > Math.log(vocabulary) + MARGIN;
}

/** Some held-out documents that can be scored, drawn by the run's seed; the same ones for every rate. */
async function heldOutDocuments({ prepared, store, signal }: TuneInit): Promise<Int32Array[]> {
  const { config, corpus, validation } = prepared;
  const { prefixTokens } = config.routing;
  const object = ShardObject.decode(await store.get(validation.shard, { signal }));
  const shard = await openShard(object, (cid) => store.get(cid, { signal }), {
    vocabulary: config.model.vocabulary,
    endOfText: corpus.endOfText,
  });
  const order = createRandom(config.seed, "tune").shuffle([...Array(shard.documents).keys()]);
  const chosen: Int32Array[] = [];
  let left = HELD_OUT_SEQUENCES * config.model.sequenceLength;
  for (const index of order) {
    if (left <= 0) break;
    const document = shard.document(index).subarray(0, prefixTokens + left);
    if (document.length <= prefixTokens) continue;
    chosen.push(document);
    left -= document.length - prefixTokens;
  }
  return chosen;
}
