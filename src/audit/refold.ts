/** Folds versions again, out of whatever tensors the disks still hold, and compares the CIDs of the results. */
import { InvalidObjectError, messageOf } from "../errors.ts";
import type { RunConfig } from "../objects/config.ts";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import { type History, type Node, unsettle } from "./history.ts";
import { optimizerOf, type State } from "./optimizers.ts";
import { outerUpdate } from "./outer-update.ts";
import { cidOfTensors, readTensors } from "./tensors.ts";
import type { Blocks, RecordedContribution, RecordedVersion } from "./types.ts";

/** Part of the protocol: an outer gradient that changes a parameter by more is refused. */
const LARGEST_CHANGE = 1e4;

export interface RefoldInit {
  blocks: Blocks;
  config: RunConfig;
  /** Training tokens of a path's shard. */
  shardTokens(path: number): number;
  /** Only versions above this generation are folded again. */
  above: number;
  onVersion?: ((version: RecordedVersion) => void) | undefined;
}

export interface Refolded {
  refolded: number;
  unverifiable: number;
}

/** The tensors of a version; undefined when not all are there. Throws InvalidObjectError. */
async function load(
  blocks: Blocks,
  { state }: RecordedVersion,
  keeps: readonly string[],
): Promise<State | undefined> {
  const theta = state["parameters"] && (await readTensors(blocks, state["parameters"]));
  if (theta === undefined) return undefined;
  const loaded: State = { parameters: theta.values };
  for (const name of keeps) {
    const pack = state[name];
    const kept =
      pack === undefined
        ? { values: new Float32Array(theta.values.length) }
        : await readTensors(blocks, pack);
    if (kept === undefined) return undefined;
    loaded[name] = kept.values;
  }
  return loaded;
}

/** The outer gradient of a contribution; undefined when not on any disk. Throws InvalidObjectError when no peer may fold it. */
export async function readGradient(
  blocks: Blocks,
  contribution: RecordedContribution,
  tensors: readonly TensorDescription[],
  config: RunConfig,
): Promise<Float32Array | undefined> {
  const read = await readTensors(blocks, contribution.delta);
  if (read === undefined) return undefined;
  const { pack, values } = read;
  if (pack.codec !== config.outer.codec || JSON.stringify(pack.tensors) !== JSON.stringify(tensors))
    throw new InvalidObjectError("its tensors are not of the module's shapes and codec");
  if (values.some((value) => Math.abs(value) > LARGEST_CHANGE))
    throw new InvalidObjectError(`it changes a parameter by more than ${LARGEST_CHANGE}`);
  if (values.every((value) => value === 0)) throw new InvalidObjectError("it changes nothing");
  return values;
}

/**
 * Folds the sound versions of a module again, parents first. One whose CIDs differ gets a fault, and nothing that
 * builds on it is sound any more. A state that was folded here serves its children when the disks let go of it.
 */
export async function refold(
  history: History,
  tensors: readonly TensorDescription[],
  { blocks, config, shardTokens, above, onVersion }: RefoldInit,
): Promise<Refolded> {
  const counted: Refolded = { refolded: 0, unverifiable: 0 };
  const [genesis] = history.nodes.values();
  const { keeps } = optimizerOf(config.outer);
  // Depth first, so that few states are held.
  const open: { node: Node; parent: State | undefined }[] = [];
  const descend = (node: Node, state: State | undefined): void => {
    for (const child of node.children) if (child.sound) open.push({ node: child, parent: state });
  };
  descend(genesis!, undefined);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node } = next;
    const { version } = node;
    if (version.generation <= above) {
      descend(node, undefined);
      continue;
    }
    const outcome = await foldAgain(node, next.parent);
    if (outcome === undefined) counted.unverifiable++;
    else {
      counted.refolded++;
      onVersion?.(version);
    }
    if (typeof outcome === "string") {
      node.fault = { kind: "fold", reason: outcome, count: 1 };
      unsettle(node);
    } else {
      if (outcome !== undefined) node.follows = true;
      descend(node, outcome);
    }
  }
  return counted;

  /** The state that the version should have; what is wrong with it; or undefined when the disks do not hold enough. */
  async function foldAgain(node: Node, known: State | undefined): Promise<State | string | undefined> {
    const { version, contributions } = node;
    const parent = known ?? (await load(blocks, node.parent!.version, keeps));
    if (parent === undefined) return undefined;
    let missing = false;
    let state: State;
    try {
      const gradients = contributions.map((contribution) => ({
        path: contribution.path,
        async values() {
          const values = await readGradient(blocks, contribution, tensors, config);
          if (values === undefined) missing = true;
          return values ?? new Float32Array(parent.parameters.length);
        },
      }));
      state = await outerUpdate(parent, gradients, shardTokens, config.outer);
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      return missing ? undefined : `folding it again fails: ${messageOf(error)}`;
    }
    if (missing) return undefined;
    for (const name of ["parameters", ...keeps]) {
      const cid = cidOfTensors(state[name]!, [...tensors]);
      if (version.state[name]?.equals(cid) !== true) return `folding it again gives the ${name} ${cid}`;
    }
    return state;
  }
}
