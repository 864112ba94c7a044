/** What a run costs a peer, by arithmetic from its configuration: shown at `create` and `join`. */
import { CapacityError, ManifestError } from "../errors.ts";
import { hiddenWidth, type RunConfig } from "../objects/config.ts";
import { codecOf } from "../outer/codecs.ts";
import { outerOptimizer } from "../outer/optimizers.ts";
import { formatBytes, formatCount } from "./format.ts";
import type { Topology } from "./types.ts";

const F32_BYTES = 4;
/**
 * Memory of training one path, fitted to the growth of the resident set while the compiled engine trained on cpu:
 * eight shapes of 0.2 to 15 M parameters grew by 120 to 1800 MiB, and the estimate is within 20 % of each. Weights,
 * gradients and AdamW moments are held by JavaScript, by the session and by its loop, hence the factor.
 */
const RUNTIME_BYTES = 100 * 2 ** 20;
const STATE_BYTES = 24 * F32_BYTES;
/**
 * What a peer takes besides: its process before it trains, and vectors of a path's size while it folds what it owns and
 * writes what it keeps. Chosen to cover the peaks that were seen, of `create` with 0.06 to 4.3 M parameters a path and
 * of peers with up to 33.5 M (docs/log.md, 2026-11-30).
 */
const PROCESS_BYTES = 300 * 2 ** 20;
const FOLD_BYTES = 12 * F32_BYTES;
/** States of a path on disk: of the last round, of the one before until it is swept, and the one being written. */
const STATE_COPIES = 3;
/** The middle of a round on disk: what is kept and what is being written in its place, each θ and two moments. */
const ROUND_COPIES = 2;

export interface RunSizes {
  /** Parameters of each module, by name. */
  parametersOfModule: ReadonlyMap<string, number>;
  parametersPerPath: number;
  /** All modules together. */
  parameters: number;
  /** Training tokens of one round of one path and replica. */
  tokensPerRound: number;
  /** Training tokens of the whole run, without the warm-start. */
  tokens: number;
  /** Bytes a peer downloads for one round of one path: the heads of its modules, f32. */
  bytesDown: number;
  /** Bytes a peer uploads to each owner for one round of one path: its contributions in the run's codec. */
  bytesUp: number;
  /** Estimate: bytes of memory that training one path takes, besides what the process has anyway. */
  memoryBytes: number;
  /** Estimate: most bytes of memory of the whole process of a peer that trains one path and owns its modules. */
  processBytes: number;
  /** Estimate: bytes on disk of a peer that trains one path and owns its modules. */
  diskBytes: number;
}

/** What a machine has to give. */
export interface Capacity {
  memoryBytes: number;
  diskBytes: number;
  /** What sets the limit to the disk, when it is not the disk itself. */
  limit?: "--max-disk";
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, n) => total + n, 0);

/**
 * Activations that one step keeps for its gradient, in bytes, by the shapes of a Llama block: 12 tensors of
 * the model width, 4 of the hidden width and attention scores before and after the softmax, per token; then
 * logits, their softmax and its gradient.
 */
function activationBytes({ model, training }: RunConfig): number {
  const { width, blocks, heads, sequenceLength, vocabulary } = model;
  const perBlock = 12 * width + 4 * hiddenWidth(model) + 2 * heads * sequenceLength;
  return training.batchSize * sequenceLength * (blocks * perBlock + 3 * vocabulary) * F32_BYTES;
}

/**
 * Sizes of a run. `elementsOfParts` has the parameters of every part (`embedding`, `block 0`, …, `head`).
 * Throws ManifestError when it lacks one.
 */
export function runSizes(
  config: RunConfig,
  topology: Topology,
  elementsOfParts: ReadonlyMap<string, number>,
): RunSizes {
  const { training, swarm, outer, replicas } = config;
  const elementsOfLevel = topology.levels.map(({ parts }) =>
    sum(
      parts.map((part) => {
        const elements = elementsOfParts.get(part);
        if (elements === undefined) throw new ManifestError(`The network has no part "${part}".`);
        return elements;
      }),
    ),
  );
  const parametersOfModule = new Map(
    topology.modules.map(({ name, level }) => [name, elementsOfLevel[level]!]),
  );
  const parametersPerPath = sum(elementsOfLevel);
  const tokensPerRound = training.innerSteps * training.batchSize * config.model.sequenceLength;
  const { bytes: encodedBytes } = codecOf(outer.codec);
  const stateBytes = F32_BYTES * outerOptimizer(outer.optimizer).stateNames.length;
  const memoryBytes = RUNTIME_BYTES + STATE_BYTES * parametersPerPath + 1.8 * activationBytes(config);
  // Of each module: what the outer optimizer keeps of a generation, and the contributions folded into it.
  const contributors = (module: string): number => topology.pathsOfModule(module).length * replicas;
  const ofModules = (bytes: (name: string, elements: number) => number): number =>
    sum(topology.modulesOfPath(0).map((name) => bytes(name, parametersOfModule.get(name)!)));
  const versionBytes = ofModules((_, elements) => stateBytes * elements);
  const gradientBytes = ofModules((name, elements) => contributors(name) * encodedBytes(elements));
  return {
    parametersOfModule,
    parametersPerPath,
    parameters: sum(parametersOfModule.values()),
    tokensPerRound,
    tokens: tokensPerRound * training.rounds * topology.paths * replicas,
    bytesDown: parametersPerPath * F32_BYTES,
    bytesUp: sum(elementsOfLevel.map(encodedBytes)),
    memoryBytes: Math.ceil(memoryBytes),
    processBytes: Math.ceil(memoryBytes + PROCESS_BYTES + FOLD_BYTES * parametersPerPath),
    // The kept generations and the one being written, outer gradients until they are settled, and the path's own state:
    // two moments and what a lossy codec owes.
    diskBytes: Math.ceil(
      (swarm.retainGenerations + 1) * versionBytes +
        (swarm.retainGenerations + outer.maxStaleness + 1) * gradientBytes +
        3 * (STATE_COPIES + ROUND_COPIES) * F32_BYTES * parametersPerPath +
        // The warm start, which prompts are routed by.
        F32_BYTES * parametersPerPath,
    ),
  };
}

/** Most parameters of a path: more do not fit into one array of JavaScript. */
const MOST_PARAMETERS = 2 ** 32;

/** Throws CapacityError, with the numbers, when the machine cannot train one path of the run. */
export function checkCapacity(sizes: RunSizes, { memoryBytes, diskBytes, limit }: Capacity): void {
  if (sizes.memoryBytes > memoryBytes)
    throw new CapacityError(
      `Training one path takes about ${formatBytes(sizes.memoryBytes)} of memory and ${formatBytes(memoryBytes)} is free; ` +
        "free some, or ask for a run with a smaller model, batch or sequence length.",
    );
  if (sizes.parametersPerPath > MOST_PARAMETERS)
    throw new CapacityError(
      `A path has ${formatCount(sizes.parametersPerPath)} parameters, and no machine can hold more than ${formatCount(MOST_PARAMETERS)} as one vector; ` +
        "use a smaller model.width, model.blocks or model.vocabulary.",
    );
  if (sizes.diskBytes > diskBytes)
    throw new CapacityError(
      limit === "--max-disk"
        ? `This run takes about ${formatBytes(sizes.diskBytes)} of disk and --max-disk leaves ${formatBytes(diskBytes)}; ` +
            "raise --max-disk, or lower swarm.retainGenerations when creating the run."
        : `This run takes about ${formatBytes(sizes.diskBytes)} of disk and ${formatBytes(diskBytes)} is free; ` +
            "free some, choose another folder with --data, or lower swarm.retainGenerations when creating the run.",
    );
}
