/**
 * Tries outer gradients on held-out text of their path, in modules with too few contributions for an average to help.
 * A peer does so before it folds one, and before it believes a version that folded it. The loss is computed in one
 * arithmetic that is the same on every machine, so all peers that have the tensors decide alike, and what fails is as
 * invalid as a contribution that is not finite: there is nothing to vote on.
 */
import { boundedMap } from "../../bounded-map.ts";
import { InvalidObjectError, UnavailableError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { HoldoutConfig } from "../../objects/config.ts";
import { ROUTER } from "../../objects/manifest.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Topology } from "../../run/types.ts";
import { concatenate } from "./module-states.ts";
import type { HoldoutScorer } from "../types.ts";

/** Outcomes that are remembered: each costs forward passes over a whole path. */
const REMEMBERED = 1024;

export interface HoldoutCheckInit {
  holdout: HoldoutConfig;
  /** Whether contributions to a module are tried. */
  isTried(module: string): boolean;
  topology: Topology;
  lineage(module: string): Lineage;
  /** θ of a version that this peer verifies as it does those that it builds on. */
  parameters(version: KnownVersion, signal: AbortSignal): Promise<Float32Array>;
  scorer: HoldoutScorer;
  logger: Logger;
}

/**
 * Rejects with InvalidObjectError when the contribution raises the loss of its path by more than the run allows, and
 * with UnavailableError while what it started from is not here.
 * @param delta the outer gradient, decoded
 */
export type HoldoutCheck = (
  contribution: KnownContribution,
  delta: Float32Array,
  signal: AbortSignal,
) => Promise<void>;

export function createHoldoutCheck(init: HoldoutCheckInit): HoldoutCheck {
  const { holdout, topology, scorer } = init;
  const { tolerance } = holdout;
  const starts = createMemory<number>();
  /** Why a contribution fails, or undefined. */
  const verdicts = createMemory<string | undefined>();

  function startOf({ cid, bases }: KnownContribution): KnownVersion[] {
    const parts = bases.filter(({ module }) => module !== ROUTER);
    return parts.map(({ module, version: base }) => {
      const version = init.lineage(module).version(base);
      if (version === undefined)
        throw new UnavailableError(
          `Contribution ${cid} started from ${base} of ${module}, which is not here.`,
        );
      if (init.lineage(module).refusal(base) !== undefined)
        throw new InvalidObjectError(`It started from ${base} of ${module}, which does not follow.`);
      return version;
    });
  }

  async function judge(
    contribution: KnownContribution,
    delta: Float32Array,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { module, path, signer } = contribution;
    const versions = startOf(contribution);
    const parts = await Promise.all(versions.map((version) => init.parameters(version, signal)));
    const start = concatenate(parts);
    const before = await starts(versions.map(({ cid }) => cid).join(), () =>
      scorer.score(path, start, signal),
    );
    const at = topology.modulesOfPath(path).indexOf(module);
    const offset = parts.slice(0, at).reduce((sum, part) => sum + part.length, 0);
    for (let i = 0; i < delta.length; i++) start[offset + i] = start[offset + i]! - delta[i]!;
    const after = await scorer.score(path, start, signal);
    const change = `the loss on held-out text of path ${path} from ${before.toFixed(4)} to ${after.toFixed(4)}`;
    init.logger.debug(`round ${contribution.round} of ${module} by ${signer} takes ${change}`);
    // Also when it is not a number.
    if (after <= before + tolerance) return undefined;
    return `It raises ${change}, by more than ${tolerance}.`;
  }

  return async (contribution, delta, signal) => {
    if (!init.isTried(contribution.module)) return;
    const verdict = await verdicts(contribution.cid.toString(), () => judge(contribution, delta, signal));
    if (verdict !== undefined) throw new InvalidObjectError(verdict);
  };
}

/** Computes the value of a key once, also for several callers at a time; tries again after a failure. */
function createMemory<T>(): (key: string, compute: () => Promise<T>) => Promise<T> {
  const known = boundedMap<string, Promise<T>>(REMEMBERED);
  return (key, compute) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const computing = compute();
    computing.catch(() => known.delete(key));
    known.set(key, computing);
    return computing;
  };
}
