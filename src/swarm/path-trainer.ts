/** Trains one round of one path: batches of its shard and the run's learning-rate schedule. Written against the engine's interface. */
import type { Batch, Engine, LearningRate, OptimizerConfig, TrainState } from "../engine/types.ts";
import type { TrainingConfig } from "../objects/config.ts";
import type { PathTrainer } from "./types.ts";

/** Steps over which the learning rate rises again when the moments of a path were lost in a takeover. */
const TAKEOVER_WARMUP_STEPS = 10;

export interface PathTrainerInit {
  engine: Engine;
  training: TrainingConfig;
  /** By global step, over warm start and all rounds. */
  learningRate: LearningRate;
  /** The batch of a global step of a path and replica: a pure function, so a takeover sees the same data. */
  batches(path: number, replica: number, signal: AbortSignal): Promise<(globalStep: number) => Batch>;
}

export function optimizerOf(training: TrainingConfig): OptimizerConfig {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = training;
  return { beta1, beta2, epsilon, weightDecay, clipNorm };
}

export function createPathTrainer(init: PathTrainerInit): PathTrainer {
  const { engine, training } = init;
  return {
    device: engine.name,
    async prepare(slot, signal) {
      await init.batches(slot.path, slot.replica, signal);
    },
    async train(slot, parameters, moments, onStep, signal) {
      const steps = training.innerSteps;
      const firstStep = training.seedSteps + slot.round * steps;
      const batchAt = await init.batches(slot.path, slot.replica, signal);
      const zeros = (): Float32Array => new Float32Array(parameters.length);
      const state: TrainState = {
        parameters,
        ...(moments ?? { step: 0, firstMoment: zeros(), secondMoment: zeros() }),
      };
      const learningRate: LearningRate =
        moments === undefined
          ? (step) => init.learningRate(step) * Math.min(1, (step - firstStep + 1) / TAKEOVER_WARMUP_STEPS)
          : init.learningRate;
      const batches = function* (): Generator<Batch> {
        for (let step = firstStep; step < firstStep + steps; step++) yield batchAt(step);
      };
      let loss = 0;
      let tokens = 0;
      let milliseconds = 0;
      const options = { firstStep, steps, learningRate, optimizer: optimizerOf(training), signal };
      for await (const record of engine.train(state, batches(), options)) {
        loss += record.loss;
        tokens += record.tokens;
        milliseconds += record.milliseconds;
        const step = record.step - firstStep + 1;
        onStep({
          ...slot,
          step,
          steps,
          loss: record.loss,
          learningRate: record.learningRate,
          gradientNorm: record.gradientNorm,
          tokensPerSecond: (1000 * tokens) / milliseconds,
          millisecondsLeft: (milliseconds / step) * (steps - step),
        });
      }
      signal.throwIfAborted();
      if (state.parameters !== parameters) parameters.set(state.parameters);
      const { step, firstMoment, secondMoment } = state;
      return {
        steps,
        loss: loss / steps,
        tokensPerSecond: (1000 * tokens) / milliseconds,
        moments: { step, firstMoment, secondMoment },
      };
    },
    close: () => engine.close(),
  };
}
