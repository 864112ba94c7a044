/** What the demo compares with: dense networks of one path's size, each at the learning rate that is best for it. */
import type { CreatedRun } from "../src/create.ts";
import { initialState, trainDense } from "../src/dense.ts";
import { createEngine } from "../src/engine/engine.ts";
import type { TrainState } from "../src/engine/types.ts";
import { modelShape } from "../src/model/parameters.ts";
import { learningRateSchedule } from "../src/model/schedule.ts";
import type { Manifest } from "../src/objects/manifest.ts";
import type { DeviceOptions } from "../src/peer.ts";
import { DENSE_LEARNING_RATE } from "./demo-run.ts";
import { formatBar, formatDuration, formatNumber, type Progress } from "./output.ts";

/** A dense network to train. */
export interface Baseline {
  name: string;
  steps: number;
  learningRate: number;
}

/** For as many steps as a path has, and for as many as all paths have together, so on as many tokens. */
export type BaselineName = keyof typeof DENSE_LEARNING_RATE;

export function baselineOf(
  name: BaselineName,
  { config, shards }: Pick<Manifest, "config" | "shards">,
): Baseline {
  const { seedSteps, rounds, innerSteps } = config.training;
  const paths = name === "equalSteps" ? 1 : shards.length;
  return {
    name: name === "equalSteps" ? "dense, equal steps" : "dense, equal tokens",
    steps: seedSteps + paths * rounds * innerSteps,
    learningRate: DENSE_LEARNING_RATE[name],
  };
}

/** Trains it on the whole corpus; resolves to its parameters. */
export async function trainBaseline(
  baseline: Baseline,
  created: CreatedRun,
  device: DeviceOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Float32Array> {
  const { name, steps } = baseline;
  const { manifest, corpus } = created;
  const { config } = manifest;
  const shape = modelShape(config.model);
  const learningRate = learningRateSchedule(
    { ...config.training, learningRate: baseline.learningRate },
    steps,
  );
  const state = startOf(baseline, created);
  const first = state.step;
  const engine = await createEngine({ shape, batchSize: config.training.batchSize, ...device });
  try {
    const range = { firstStep: first, steps: steps - first, learningRate };
    let done = first;
    for await (const { loss, milliseconds } of trainDense(engine, config, corpus, state, range, signal))
      progress.update(
        `${name} ${formatBar(++done, steps)} step ${done}/${steps} loss ${formatNumber(loss)}, ` +
          `about ${formatDuration((steps - done) * milliseconds)} left`,
      );
  } finally {
    await engine.close();
  }
  return state.parameters;
}

/** The run's initial weights, or its warm start where the first steps of both are the same. */
function startOf(
  { steps, learningRate }: Baseline,
  { manifest: { config }, seedState }: CreatedRun,
): TrainState {
  const { training } = config;
  const isSame =
    learningRate === training.learningRate &&
    steps === training.seedSteps + training.rounds * training.innerSteps;
  return isSame ? structuredClone(seedState) : initialState(modelShape(config.model), config.seed);
}
