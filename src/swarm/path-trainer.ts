/**
 * Trains one round of one path: batches of its shard, the run's learning-rate schedule, and AdamW moments that
 * stay on this disk (DiLoCo section 6.1: syncing them gains nothing). Written against the engine's interface.
 */
import * as dagCbor from "@ipld/dag-cbor";
import type { Batch, Engine, LearningRate, OptimizerConfig, TrainState } from "../engine/types.ts";
import type { TrainingConfig } from "../objects/config.ts";
import type { Store } from "../store/types.ts";
import type { Slot } from "./leases.ts";
import type { PathTrainer } from "./types.ts";

/** Steps over which the learning rate rises again when the moments of a path were lost in a takeover. */
const TAKEOVER_WARMUP_STEPS = 10;

export interface PathTrainerInit {
  engine: Engine;
  store: Store;
  training: TrainingConfig;
  /** By global step, over warm start and all rounds. */
  learningRate: LearningRate;
  /** The batch of a global step of a path and replica: a pure function, so a takeover sees the same data. */
  batches(path: number, replica: number, signal: AbortSignal): Promise<(globalStep: number) => Batch>;
}

interface Moments {
  /** The last round these moments have seen. */
  round: number;
  step: number;
  firstMoment: Uint8Array;
  secondMoment: Uint8Array;
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

export function optimizerOf(training: TrainingConfig): OptimizerConfig {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = training;
  return { beta1, beta2, epsilon, weightDecay, clipNorm };
}

export function createPathTrainer(init: PathTrainerInit): PathTrainer {
  const { engine, store, training } = init;
  const stateName = (slot: Slot): string => `optimizer-${slot.path}-${slot.replica}`;

  async function resume(slot: Slot, parameters: Float32Array): Promise<{ state: TrainState; warm: boolean }> {
    const bytes = await store.readState(stateName(slot));
    const moments = bytes === undefined ? undefined : dagCbor.decode<Moments>(bytes);
    const bytesExpected = parameters.byteLength;
    if (
      moments !== undefined &&
      moments.round === slot.round - 1 &&
      moments.firstMoment.byteLength === bytesExpected &&
      moments.secondMoment.byteLength === bytesExpected
    ) {
      const firstMoment = floatsOf(moments.firstMoment);
      const secondMoment = floatsOf(moments.secondMoment);
      return { state: { parameters, firstMoment, secondMoment, step: moments.step }, warm: true };
    }
    const zeros = (): Float32Array => new Float32Array(parameters.length);
    return { state: { parameters, firstMoment: zeros(), secondMoment: zeros(), step: 0 }, warm: false };
  }

  return {
    device: engine.name,
    async prepare(slot, signal) {
      await init.batches(slot.path, slot.replica, signal);
    },
    async train(slot, parameters, onStep, signal) {
      const steps = training.innerSteps;
      const firstStep = training.seedSteps + slot.round * steps;
      const batchAt = await init.batches(slot.path, slot.replica, signal);
      const { state, warm } = await resume(slot, parameters);
      const learningRate: LearningRate = warm
        ? init.learningRate
        : (step) => init.learningRate(step) * Math.min(1, (step - firstStep + 1) / TAKEOVER_WARMUP_STEPS);
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
      const moments: Moments = {
        round: slot.round,
        step: state.step,
        firstMoment: bytesOf(state.firstMoment),
        secondMoment: bytesOf(state.secondMoment),
      };
      await store.writeState(stateName(slot), dagCbor.encode(moments));
      if (state.parameters !== parameters) parameters.set(state.parameters);
      return { steps, loss: loss / steps, tokensPerSecond: (1000 * tokens) / milliseconds };
    },
    close: () => engine.close(),
  };
}
