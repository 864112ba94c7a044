/** Trains one round of one path: batches of its shard and the run's learning-rate schedule. Written against the engine's interface. */
import type { Clock } from "../../clock.ts";
import type { Batch, Engine, LearningRate, OptimizerConfig, TrainState } from "../../engine/types.ts";
import type { TrainingConfig } from "../../objects/config.ts";
import type { PathTrainer } from "../types.ts";

/** Steps over which the learning rate rises again when the moments of a path were lost in a takeover. */
const TAKEOVER_WARMUP_STEPS = 10;
/** Time between two states that are kept of a round, at least, ms: what a crash costs. */
const KEEP_MS = 60_000;
/** And so many times as long as it takes to keep one. */
const KEEP_SHARE = 20;
const LEAST_STEP_MS = 1e-3;
/** What a step is expected to take before any was done, ms: little is done before the first is known. */
const FIRST_STEP_MS = 10_000;

export interface PathTrainerInit {
  clock: Clock;
  engine: Engine;
  training: TrainingConfig;
  /** By global step, over warm start and all rounds. */
  learningRate: LearningRate;
  /** @default 60 s */
  keepMs?: number;
  /** The batch of a global step of a path and replica: a pure function, so a takeover sees the same data. */
  batches(path: number, replica: number, signal: AbortSignal): Promise<(globalStep: number) => Batch>;
}

export function optimizerOf(training: TrainingConfig): OptimizerConfig {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = training;
  return { beta1, beta2, epsilon, weightDecay, clipNorm };
}

export function createPathTrainer(init: PathTrainerInit): PathTrainer {
  const { clock, engine, training, keepMs = KEEP_MS } = init;
  let millisecondsPerStep = FIRST_STEP_MS;
  return {
    device: engine.name,
    async prepare(slot, signal) {
      await init.batches(slot.path, slot.replica, signal);
    },
    async train(slot, { parameters, moments, progress }, report, signal) {
      const { innerSteps: steps, seedSteps } = training;
      const firstStep = seedSteps + slot.round * steps;
      const batchAt = await init.batches(slot.path, slot.replica, signal);
      const zeros = (): Float32Array => new Float32Array(parameters.length);
      const state: TrainState = {
        parameters,
        ...(moments ?? { step: 0, firstMoment: zeros(), secondMoment: zeros() }),
      };
      const { warmsUp } = progress ?? { warmsUp: moments === undefined };
      const learningRate: LearningRate = warmsUp
        ? (step) => init.learningRate(step) * Math.min(1, (step - firstStep + 1) / TAKEOVER_WARMUP_STEPS)
        : init.learningRate;
      let { steps: done, loss } = progress ?? { steps: 0, loss: 0 };
      let losses = done;
      let tokens = 0;
      let milliseconds = 0;
      let pause = keepMs;
      while (done < steps) {
        const before = { done, step: state.step };
        const options = {
          firstStep: firstStep + done,
          steps: Math.min(steps - done, Math.max(1, Math.floor(pause / millisecondsPerStep))),
          learningRate,
          optimizer: optimizerOf(training),
          signal,
        };
        const batches = function* (): Generator<Batch> {
          for (let step = options.firstStep; step < firstStep + steps; step++) yield batchAt(step);
        };
        try {
          for await (const record of engine.train(state, batches(), options)) {
            loss += (record.loss - loss) / ++losses;
            tokens += record.tokens;
            milliseconds += record.milliseconds;
            millisecondsPerStep = Math.max(LEAST_STEP_MS, record.milliseconds);
            const step = record.step - firstStep + 1;
            report.step({
              ...slot,
              step,
              steps,
              loss: record.loss,
              learningRate: record.learningRate,
              gradientNorm: record.gradientNorm,
              tokensPerSecond: (1000 * tokens) / milliseconds,
              millisecondsLeft: record.milliseconds * (steps - step),
            });
          }
        } finally {
          done = before.done + state.step - before.step;
          // Also when it is told to end, if with the last step; more may have been done than it came to tell of.
          if (done > before.done && (done < steps || signal.aborted)) {
            const { step, firstMoment, secondMoment } = state;
            const began = clock.now();
            await report.keep({
              parameters: state.parameters,
              moments: { step, firstMoment, secondMoment },
              progress: { steps: done, loss, warmsUp },
            });
            pause = Math.max(keepMs, KEEP_SHARE * (clock.now() - began));
          }
        }
      }
      signal.throwIfAborted();
      if (state.parameters !== parameters) parameters.set(state.parameters);
      const { step, firstMoment, secondMoment } = state;
      return {
        steps,
        loss,
        tokensPerSecond: tokens === 0 ? 0 : (1000 * tokens) / milliseconds,
        moments: { step, firstMoment, secondMoment },
      };
    },
    close: () => engine.close(),
  };
}
