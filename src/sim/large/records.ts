/** Records of a simulated run. Their names stand for tensors that nobody computes: like tensors, they follow from what went in. */
import type { CID } from "multiformats/cid";
import { ROUTER } from "../../objects/manifest.ts";
import { dagCborCid, rawBlock } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import { compareContributions } from "../../outer/order.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Slot } from "../../plan/types.ts";
import { RUN } from "./run.ts";

/** Generation 0 of a module. */
export function genesisVersion(module: string): KnownVersion {
  const value: Version = {
    module,
    generation: 0,
    parent: null,
    contributions: [],
    state: { parameters: dagCborCid(Buffer.from(module)) },
    tokens: 0,
  };
  return { ...value, cid: Version.encode(value).cid };
}

export interface FinishedRound {
  signer: string;
  slot: Slot;
  /** What it started from, by module of its path. */
  bases: ReadonlyMap<string, CID>;
  router: CID;
  steps: number;
  tokens: number;
}

/** The contributions of a round, one for each module of its path. */
export function contributionsOf(round: FinishedRound): KnownContribution[] {
  const { signer, slot, bases, router, steps, tokens } = round;
  const named = [...bases, [ROUTER, router] as const].map(([module, version]) => ({ module, version }));
  return [...bases].map(([module, base]) => {
    const identity = Buffer.from(JSON.stringify([signer, module, slot, base.toString()]));
    return {
      run: RUN,
      module,
      bases: named,
      base,
      ...slot,
      delta: rawBlock(identity).cid,
      tokens,
      steps,
      loss: 1,
      cid: dagCborCid(identity),
      signer,
    };
  });
}

/** The version that folds contributions into a parent, and the size of its block. */
export function foldedVersion(
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
): { version: KnownVersion; byteLength: number } {
  const order = contributions.toSorted(compareContributions);
  const cids = order.map(({ cid }) => cid);
  const state = dagCborCid(rawBlock(Buffer.from([parent.cid, ...cids].join("+"))).bytes);
  const value: Version = {
    module: parent.module,
    generation: parent.generation + 1,
    parent: parent.cid,
    contributions: cids,
    state: { parameters: state, momentum: state },
    tokens: parent.tokens + order.reduce((sum, { tokens }) => sum + tokens, 0),
  };
  const { cid, bytes } = Version.encode(value);
  return { version: { ...value, cid }, byteLength: bytes.byteLength };
}
