/** What the demo compares with: dense networks of one path's size, each at the learning rate that is best for it. */
import { type CreatedRun, initialState, trainDense } from "../src/create.ts";
import { createEngine } from "../src/engine/engine.ts";
import { modelShape } from "../src/model/parameters.ts";
import { learningRateSchedule } from "../src/model/schedule.ts";
import type { DeviceOptions } from "../src/peer.ts";
import { DENSE_LEARNING_RATE } from "./demo-run.ts";
import { formatBar, formatDuration, formatNumber, type Progress } from "./output.ts";

/** A dense network to train. */
export interface Baseline {
  name: string;
  steps: number;
  learningRate: number;
}

export type Baselines = Record<keyof typeof DENSE_LEARNING_RATE, Baseline>;

/** One for as many steps as a path has, and one for as many as all paths have together, so on as many tokens. */
export function baselinesOf({ manifest: { config, shards } }: Pick<CreatedRun, "manifest">): Baselines {
  const { seedSteps, rounds, innerSteps } = config.training;
  const { equalSteps, equalTokens } = DENSE_LEARNING_RATE;
  const inRounds = rounds * innerSteps;
  return {
    equalSteps: { name: "dense, equal steps", steps: seedSteps + inRounds, learningRate: equalSteps },
    equalTokens: {
      name: "dense, equal tokens",
      steps: seedSteps + shards.length * inRounds,
      learningRate: equalTokens,
    },
  };
}

/** Trains each on the whole corpus, from the run's initial weights; resolves to their parameters. */
export async function trainBaselines(
  baselines: Baselines,
  { manifest: { config }, corpus }: CreatedRun,
  device: DeviceOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Record<keyof Baselines, Float32Array>> {
  const shape = modelShape(config.model);
  const engine = await createEngine({ shape, batchSize: config.training.batchSize, ...device });
  const train = async ({ name, steps, learningRate: peak }: Baseline): Promise<Float32Array> => {
    const state = initialState(shape, config.seed);
    const learningRate = learningRateSchedule({ ...config.training, learningRate: peak }, steps);
    const range = { firstStep: 0, steps, learningRate };
    let done = 0;
    for await (const { loss, milliseconds } of trainDense(engine, config, corpus, state, range, signal))
      progress.update(
        `${name} ${formatBar(++done, steps)} step ${done}/${steps} loss ${formatNumber(loss)}, ` +
          `about ${formatDuration((steps - done) * milliseconds)} left`,
      );
    return state.parameters;
  };
  try {
    return { equalSteps: await train(baselines.equalSteps), equalTokens: await train(baselines.equalTokens) };
  } finally {
    await engine.close();
  }
}
