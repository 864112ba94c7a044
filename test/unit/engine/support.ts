/** A tiny network, deterministic weights and batches, and a way to train on them. */
import { createEngine } from "../../../src/engine/engine.ts";
import type {
  Batch,
  Engine,
  EngineConfig,
  LearningRate,
  OptimizerConfig,
  StepRecord,
  TrainState,
} from "../../../src/engine/types.ts";
import { modelShape, parameterSpecs } from "../../../src/model/parameters.ts";

export const BATCH_SIZE = 3;

export const shape = modelShape({
  vocabulary: 48,
  sequenceLength: 12,
  width: 16,
  blocks: 2,
  heads: 2,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
});

/** Clips in some steps and decays visibly. */
export const optimizer: OptimizerConfig = {
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 0.8,
};

/** Numerical Recipes' linear congruential generator, also in `scripts/fixtures/torch_losses.py`: uniform in [0, 1). */
export function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Larger than usual, so that every layer matters to the loss. */
export function weights(): Float32Array {
  const uniform = lcg(1);
  const parameters: number[] = [];
  for (const { shape: dimensions, size } of parameterSpecs(shape))
    for (let i = 0; i < size; i++)
      parameters.push(dimensions.length === 1 ? 0.5 + uniform() : 0.6 * (uniform() - 0.5));
  return Float32Array.from(parameters);
}

export function freshState(): TrainState {
  const parameters = weights();
  return {
    parameters,
    firstMoment: new Float32Array(parameters.length),
    secondMoment: new Float32Array(parameters.length),
    step: 0,
  };
}

/** An endless stream of batches with repeated tokens and a mask that leaves out a fifth and halves some. */
export function* batches(seed = 2, rows = BATCH_SIZE): Generator<Batch> {
  const uniform = lcg(seed);
  const { sequenceLength, vocabulary } = shape;
  for (;;)
    yield {
      tokens: Int32Array.from({ length: rows * (sequenceLength + 1) }, () =>
        Math.floor(vocabulary * uniform() * uniform()),
      ),
      mask: Float32Array.from({ length: rows * sequenceLength }, () =>
        Math.min(1, Math.floor(5 * uniform()) / 2),
      ),
    };
}

export function firstBatch(rows = BATCH_SIZE): Batch {
  return batches(2, rows).next().value as Batch;
}

export function tinyEngine(config: Partial<EngineConfig> = {}): Promise<Engine> {
  return createEngine({
    shape,
    batchSize: BATCH_SIZE,
    kind: "compiled",
    device: "cpu",
    threads: 2,
    ...config,
  });
}

interface RecordsOptions {
  firstStep?: number;
  source?: Iterable<Batch> | AsyncIterable<Batch>;
  learningRate?: LearningRate;
}

export async function records(
  engine: Engine,
  state: TrainState,
  steps: number,
  { firstStep = 0, source = batches(), learningRate = () => 0.01 }: RecordsOptions = {},
): Promise<StepRecord[]> {
  const all: StepRecord[] = [];
  for await (const record of engine.train(state, source, { firstStep, steps, learningRate, optimizer }))
    all.push(record);
  return all;
}

export const lossesOf = (all: StepRecord[]): number[] => all.map(({ loss }) => loss);
export const normsOf = (all: StepRecord[]): number[] => all.map(({ gradientNorm }) => gradientNorm);

/** The largest |a − b| / max(1, |b|). */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} numbers against ${b.length}.`);
  return Array.from(a).reduce(
    (largest, value, i) => Math.max(largest, Math.abs(value - b[i]!) / Math.max(1, Math.abs(b[i]!))),
    0,
  );
}
