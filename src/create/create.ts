/**
 * Makes a run from a corpus: tokenizer, split, dense warm start, routing, shards, genesis versions, manifest.
 * The warm start's weights become the genesis of every module (paper section 2.6).
 */
import type { CID } from "multiformats/cid";
import type { TokenizedShard } from "../data/types.ts";
import { createEngine, DEFAULT_DEVICE } from "../engine/engine.ts";
import type { TrainState } from "../engine/types.ts";
import { modelShape } from "../model/parameters.ts";
import { Manifest, ROUTER } from "../objects/manifest.ts";
import { PROTOCOL } from "../objects/protocol.ts";
import type { DeviceOptions } from "../peer/types.ts";
import { createTopology } from "../run/topology.ts";
import type { Packs } from "../swarm/types.ts";
import { initialState, trainDense } from "./dense.ts";
import { writeGenesis, writeRouter } from "./genesis.ts";
import {
  type CorpusReport,
  type CreateProgress,
  PREPARE_DEFAULTS,
  type PreparedRun,
  type PrepareOptions,
  prepareRun,
} from "./prepare.ts";
import { routeCorpus } from "./route.ts";
import { writeShards } from "./shards.ts";

export interface CreateOptions extends PrepareOptions {
  packs: Packs;
  /** Peer id of the run's creator. */
  creator: string;
  /** @default the compiled engine on the CPU */
  device?: DeviceOptions;
}

export interface CreatedRun extends CorpusReport {
  run: CID;
  manifest: Manifest;
  /** The warm start's state: what a dense run of the same learning rate has come to by then. */
  seedState: TrainState;
  /** The whole training split, for dense baselines. */
  corpus: TokenizedShard;
}

/**
 * Makes a run and stores all of it. Throws CorpusError when the corpus is too small, CapacityError when the device
 * is missing.
 */
export async function createRun(options: CreateOptions): Promise<CreatedRun> {
  const { store, packs, creator, device, onProgress, signal } = {
    ...PREPARE_DEFAULTS,
    device: DEFAULT_DEVICE,
    ...options,
  };
  const prepared = await prepareRun(options);
  const { config, tokenizer, corpus, validation, report } = prepared;
  const topology = createTopology(config);
  const { paths } = topology;

  const seedState = await warmStart(prepared, device, onProgress, signal);
  const { parameters } = seedState;
  const { router, pathOfDocument } = await routeCorpus(prepared, {
    paths,
    parameters,
    device,
    onProgress,
    signal,
  });
  const routerVersion = await writeRouter(store, router);
  const { shards, holdouts } = await writeShards(prepared, {
    store,
    paths,
    pathOfDocument,
    onProgress,
    signal,
  });
  const genesis = await writeGenesis(store, packs, topology, modelShape(config.model), parameters);
  const manifest: Manifest = {
    protocol: PROTOCOL,
    creator,
    config,
    genesis: [...genesis, { module: ROUTER, version: routerVersion }],
    tokenizer: tokenizer.block.cid,
    shards,
    holdouts,
    validation,
  };
  const block = Manifest.encode(manifest);
  await store.put([block]);
  await store.retain("created", [
    block.cid,
    tokenizer.block.cid,
    ...tokenizer.chunks.map((chunk) => chunk.cid),
    routerVersion,
    router.cid,
  ]);
  return { run: block.cid, manifest, ...report, seedState, corpus };
}

/** Trains the whole network on the whole corpus for the first steps of the run. */
async function warmStart(
  { config, corpus }: PreparedRun,
  device: DeviceOptions,
  onProgress: (progress: CreateProgress) => void,
  signal: AbortSignal,
): Promise<TrainState> {
  const shape = modelShape(config.model);
  onProgress({ stage: "compiling", done: 0 });
  const engine = await createEngine({ shape, batchSize: config.training.batchSize, ...device });
  try {
    const state = initialState(shape, config.seed);
    const total = config.training.seedSteps;
    const steps = trainDense(engine, config, corpus, state, { firstStep: 0, steps: total }, signal);
    let done = 0;
    for await (const step of steps) onProgress({ stage: "seed", done: ++done, total, step });
    return state;
  } finally {
    await engine.close();
  }
}
