/** What the demo compares with: dense networks of one path's size, each at a learning rate of its own. */
import type { CreatedRun } from "../../src/create/create.ts";
import { initialState, trainDense } from "../../src/create/dense.ts";
import { createEngine } from "../../src/engine/engine.ts";
import type { TrainState } from "../../src/engine/types.ts";
import { modelShape } from "../../src/model/parameters.ts";
import { learningRateSchedule } from "../../src/model/schedule.ts";
import type { Manifest } from "../../src/objects/manifest.ts";
import { formatBar, type Progress } from "../output.ts";
import { DEMO_DEVICE, DENSE_LEARNING_RATE } from "./run.ts";

/** A dense network to train. */
export interface Baseline {
  name: string;
  steps: number;
  learningRate: number;
}

/** For as many steps as a path has, and for as many as all paths have together, so on as many tokens. */
export type BaselineName = keyof typeof DENSE_LEARNING_RATE;

/** As a peer of the demo trains: networks this small gain little from a second thread. */
const DEVICE = { ...DEMO_DEVICE, threads: 1 };

/** Trainings that go on beside other work. */
export interface Training {
  /** How far those are that are not done. */
  progress(): { name: string; done: number; steps: number }[];
  /** Begins one, unless it has begun. */
  start(name: BaselineName): void;
  /** Its parameters, once it is done. */
  trained(name: BaselineName): Promise<Float32Array>;
  /** Ends them in any case. */
  stop(): Promise<void>;
}

/** The trainings of a run's baselines, each in a thread of its own. */
export function createBaselines(created: CreatedRun, signal: AbortSignal): Training {
  const stopping = new AbortController();
  const under = AbortSignal.any([signal, stopping.signal]);
  const running = new Map<BaselineName, { name: string; done: number; steps: number }>();
  const train = async (key: BaselineName): Promise<Float32Array> => {
    const baseline = baselineOf(key, created.manifest);
    const { name, steps } = baseline;
    const onStep = (done: number): void => void running.set(key, { name, done, steps });
    onStep(0);
    try {
      return await trainBaseline(baseline, created, onStep, under);
    } finally {
      running.delete(key);
    }
  };
  const begun = new Map<BaselineName, Promise<Float32Array>>();
  const trained = (key: BaselineName): Promise<Float32Array> => {
    const training = begun.get(key) ?? train(key);
    begun.set(key, training);
    // The failure reaches whoever awaits the training; nobody may await it yet.
    training.catch(() => {});
    return training;
  };
  return {
    progress: () => [...running.values()],
    start: (key) => void trained(key),
    trained,
    async stop() {
      stopping.abort();
      await Promise.allSettled(begun.values());
    },
  };
}

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

/** Trains one on the whole corpus; resolves to its parameters. */
async function trainBaseline(
  baseline: Baseline,
  created: CreatedRun,
  onStep: (done: number) => void,
  signal: AbortSignal,
): Promise<Float32Array> {
  const { steps } = baseline;
  const { manifest, corpus } = created;
  const { config } = manifest;
  const shape = modelShape(config.model);
  const learningRate = learningRateSchedule(
    { ...config.training, learningRate: baseline.learningRate },
    steps,
  );
  const state = startOf(baseline, created);
  const first = state.step;
  const engine = await createEngine({ shape, batchSize: config.training.batchSize, ...DEVICE });
  try {
    const range = { firstStep: first, steps: steps - first, learningRate };
    let done = first;
    for await (const _ of trainDense(engine, config, corpus, state, range, signal)) onStep(++done);
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

/** What is left of the training of a baseline once the swarm is done. */
export async function finishBaseline(
  training: Training,
  key: BaselineName,
  progress: Progress,
): Promise<Float32Array> {
  const show = (): void => {
    const bars = training.progress().map(({ name, done, steps }) => `${name} ${formatBar(done, steps, 12)}`);
    if (bars.length > 0) progress.update(bars.join(" | "));
  };
  const timer = setInterval(show, 500);
  try {
    return await training.trained(key);
  } finally {
    clearInterval(timer);
  }
}
