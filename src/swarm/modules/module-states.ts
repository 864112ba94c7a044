/**
 * The tensors behind versions: read from disk, folded again from contributions, or fetched. Folding again is
 * how a version is verified, and it yields the very blocks that its owner published.
 */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf } from "../../errors.ts";
import type { OuterConfig } from "../../objects/config.ts";
import type { TensorDescription } from "../../objects/tensor-pack.ts";
import { Version } from "../../objects/version.ts";
import type { Block } from "../../objects/object.ts";
import { decodeTensors, encodeTensors } from "../../outer/codec.ts";
import { createFold } from "../../outer/fold.ts";
import { outerOptimizer } from "../../outer/optimizers.ts";
import type { ModuleState } from "../../outer/optimizers/types.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Packs } from "../types.ts";

/** Room for pack metadata next to the tensor bytes themselves. */
const BYTES_PER_ELEMENT = 4;

/**
 * Largest change of one parameter in one round that is believed. Weights are of order 1; finite but huge changes
 * would overflow the fold and so stop a module. Part of the protocol: all peers refuse the same contributions.
 */
const MAX_CHANGE = 1e4;

export interface ModuleStatesInit {
  packs: Packs;
  outer: OuterConfig;
  /** Tensors of a module, in network order. */
  tensors(module: string): TensorDescription[];
  /** Training tokens of a contribution's shard, as the router version has it that it names; the basis of loss reweighing. */
  weightOf(contribution: KnownContribution): number | undefined;
}

/** A version made here: its block, and what it says. */
export interface FoldedVersion {
  block: Block;
  version: KnownVersion;
}

export function elementsOf(tensors: readonly TensorDescription[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((a, b) => a * b, 1), 0);
}

/** Flat vectors one after the other: modules in network order make a path. */
export function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Reads one pack of a module as f32 and checks that it has the module's tensors. Throws InvalidObjectError. */
async function readTensors(
  packs: Pick<Packs, "read">,
  cid: CID,
  expected: TensorDescription[],
  codec: string,
  holders: string[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const elements = elementsOf(expected);
  const maxBytes = elements * BYTES_PER_ELEMENT;
  const { pack, bytes } = await packs.read(cid, { holders, signal, maxBytes });
  const same =
    pack.codec === codec &&
    pack.elements === elements &&
    JSON.stringify(pack.tensors) === JSON.stringify(expected);
  if (!same) throw new InvalidObjectError(`Tensors ${cid} are not of the expected shapes and codec.`);
  return decodeTensors(bytes, pack.codec, pack.elements);
}

/** θ of a version. Throws InvalidObjectError when it has none. */
export async function readParameters(
  packs: Pick<Packs, "read">,
  { module, cid, state }: KnownVersion,
  expected: TensorDescription[],
  holders: string[],
  signal: AbortSignal,
): Promise<Float32Array> {
  const pack = state["parameters"];
  if (pack === undefined)
    throw new InvalidObjectError(`Version ${cid.toString()} of ${module} has no parameters.`);
  return readTensors(packs, pack, expected, "f32", holders, signal);
}

export interface ModuleStates {
  /** The outer gradient of a contribution. Throws InvalidObjectError when its content is wrong, UnavailableError when nobody gives it. */
  delta(contribution: KnownContribution, holders: string[], signal: AbortSignal): Promise<Float32Array>;
  /** All that the outer optimizer keeps of a version, from disk or from holders. */
  load(version: KnownVersion, holders: string[], signal: AbortSignal): Promise<ModuleState>;
  /** θ alone. */
  parameters(version: KnownVersion, holders: string[], signal: AbortSignal): Promise<Float32Array>;
  /** The next version of a module: a pure function of its arguments and the manifest, whoever computes it. */
  fold(
    parent: KnownVersion,
    parentHolders: string[],
    contributions: readonly KnownContribution[],
    holders: (contribution: KnownContribution) => string[],
    signal: AbortSignal,
  ): Promise<FoldedVersion>;
}

export function createModuleStates({ packs, outer, tensors, weightOf }: ModuleStatesInit): ModuleStates {
  const { stateNames } = outerOptimizer(outer.optimizer);

  const parameters: ModuleStates["parameters"] = (version, holders, signal) =>
    readParameters(packs, version, tensors(version.module), holders, signal);

  const load: ModuleStates["load"] = async (version, holders, signal) => {
    const expected = tensors(version.module);
    const state: ModuleState = { parameters: await parameters(version, holders, signal) };
    for (const name of stateNames) {
      const pack = version.state[name];
      if (name === "parameters") continue;
      state[name] =
        pack === undefined
          ? new Float32Array(elementsOf(expected))
          : await readTensors(packs, pack, expected, "f32", holders, signal);
    }
    return state;
  };

  const delta: ModuleStates["delta"] = async (contribution, holders, signal) => {
    const expected = tensors(contribution.module);
    const values = await readTensors(packs, contribution.delta, expected, outer.codec, holders, signal);
    const huge = values.find((value) => Math.abs(value) > MAX_CHANGE);
    if (huge !== undefined)
      throw new InvalidObjectError(
        `It changes a parameter by ${huge}; more than ${MAX_CHANGE} is no training.`,
      );
    if (values.every((value) => value === 0))
      throw new InvalidObjectError("It changes nothing, which no training does.");
    return values;
  };

  return {
    parameters,
    load,
    delta,
    async fold(parent, parentHolders, contributions, holders, signal) {
      const { module } = parent;
      const state = await load(parent, parentHolders, signal);
      const fold = createFold({ parent: state, contributions, weightOf, outer });
      for (const contribution of fold.order) {
        try {
          fold.add(await delta(contribution, holders(contribution), signal));
        } catch (error) {
          if (error instanceof InvalidObjectError)
            throw new InvalidObjectError(`Contribution ${contribution.cid}: ${messageOf(error)}`);
          throw error;
        }
      }
      const next = fold.finish();
      const packed: Version["state"] = {};
      for (const [name, values] of Object.entries(next))
        packed[name] = await packs.write({
          tensors: tensors(module),
          codec: "f32",
          bytes: encodeTensors(values, "f32"),
        });
      const value: Version = {
        module,
        generation: parent.generation + 1,
        parent: parent.cid,
        contributions: fold.order.map((contribution) => contribution.cid),
        state: packed,
        tokens: parent.tokens + fold.order.reduce((sum, contribution) => sum + contribution.tokens, 0),
      };
      const block = Version.encode(value);
      return { block, version: { ...value, cid: block.cid } };
    },
  };
}
