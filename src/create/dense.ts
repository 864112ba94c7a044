/** Dense training of the whole network on the whole corpus: the warm start of a run, `tune`, and baselines. */
import { createBatches } from "../data/sequences.ts";
import type { TokenizedShard } from "../data/types.ts";
import type { Engine, LearningRate, StepRecord, TrainState } from "../engine/types.ts";
import { initialParameters } from "../model/parameters.ts";
import { learningRateSchedule } from "../model/schedule.ts";
import type { ModelShape } from "../model/types.ts";
import type { RunConfig } from "../objects/config.ts";
import { optimizerOf } from "../swarm/rounds/path-trainer.ts";

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
