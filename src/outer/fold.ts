/**
 * The outer update (DESIGN section 4; DiPaCo Algorithm 1, eq. 2–3 and section 2.7): averages outer
 * gradients and takes one step of the run's outer optimizer (`optimizers/`).
 *
 * The result is a bit-exact function of the parent state, the contributions and the configuration. All
 * vectors are binary32 and every product and sum below is rounded to binary32 once, elementwise, in this
 * order. Products of two binary32 numbers are exact in binary64 and sums round the same through binary64
 * (53 ≥ 2·24 + 2), so `Math.fround` and stores into Float32Array give what IEEE hardware without fused
 * multiply-add gives. Scalars are computed in binary64 in fixed order and rounded to binary32 once:
 *
 *     w_c = max(1, tokens of the path's shard by the router version that c names), or 1 without `reweigh`
 *     n_p = contributions of path p ;  w_p = (Σ w_c over path p, in fold order) / n_p
 *     W = Σ w_p, paths in ascending order ;  α = f32(w_c / (n_p · W))
 *     ρ = f32(W / √(Σ w_p²)) with `sqrt`, which is √P for P equal paths ;  1 with `none`
 *
 *     A = 0 ; for every contribution in fold order:
 *       d = decode(c), and when ‖d‖ > L:  d = f32(L / ‖d‖) · d
 *                                      where ‖d‖ = √(Σ d²) in binary64 from first to last element
 *       A = A + α · d, or what the run's robust average says (robust.ts)
 *     Δ = ρ · A, by which the optimizer steps
 *
 * The limit L is the least of clipNorm and, with three or more contributions, clipMedian times the lower median of
 * their norms; infinite without either.
 *
 * The rescaling counts paths, not contributions: replicas of a path, and copies of a round that two
 * peers finished, are averaged without amplification. So grid [1] with replicas is plain DiLoCo.
 */
import { InvalidObjectError } from "../errors.ts";
import type { OuterConfig } from "../objects/config.ts";
import { isFiniteTensor } from "./codec.ts";
import { outerOptimizer } from "./optimizers.ts";
import type { ModuleState } from "./optimizers/types.ts";
import { compareContributions } from "./order.ts";
import { accumulate, averageOf, clipFactor, needsAll, normLimit, normOf } from "./robust.ts";
import type { KnownContribution } from "./types.ts";

export interface FoldInit {
  /** State of the parent version; not changed. */
  parent: ModuleState;
  /** At least one, in any order. */
  contributions: readonly KnownContribution[];
  /** Training tokens of the shard of a contribution's path, as its router version has it; undefined for an unknown one. */
  weightOf: (contribution: KnownContribution) => number | undefined;
  outer: OuterConfig;
}

/**
 * A fold in progress. It holds one accumulator, so contributions may be fetched and decoded one at a time; with
 * `clipMedian` or `robust` it holds them all, and they must not be changed until it is finished.
 */
export interface Fold {
  /** The contributions in the order in which `add` takes their deltas. */
  readonly order: readonly KnownContribution[];
  /** Takes the next decoded delta. Throws InvalidObjectError, and takes nothing, when it is unusable. */
  add(delta: Float32Array): void;
  /** The next state, in new arrays; ends the fold. Throws InvalidObjectError when a number of it is not finite. */
  finish(): ModuleState;
}

type FoldConfig = Pick<FoldInit, "weightOf" | "outer">;

/** Share α of each contribution, in the order given. They depend only on the set. */
export function shares(contributions: readonly KnownContribution[], config: FoldConfig): number[] {
  const paths = Map.groupBy(contributions, ({ path }) => path);
  const total = sum(pathWeights(contributions, config));
  return contributions.map((contribution) =>
    Math.fround(weight(contribution, config) / (paths.get(contribution.path)!.length * total)),
  );
}

/** The factor ρ. */
export function rescaleFactor(contributions: readonly KnownContribution[], config: FoldConfig): number {
  if (config.outer.rescale === "none") return 1;
  const weights = pathWeights(contributions, config);
  return Math.fround(sum(weights) / Math.sqrt(sum(weights.map((weight) => weight * weight))));
}

/** Starts a fold. */
export function createFold(init: FoldInit): Fold {
  const { parent, outer } = init;
  const order = init.contributions.toSorted(compareContributions);
  if (order.length === 0) throw new InvalidObjectError("An outer update needs at least one contribution.");
  const alphas = shares(order, init);
  const rescale = rescaleFactor(order, init);
  const elements = parent.parameters.length;
  const accumulator = new Float32Array(elements);
  const deltas: Float32Array[] = [];
  let added = 0;
  const average = (): Float32Array => {
    if (!needsAll(outer)) return accumulator;
    const norms = deltas.map(normOf);
    const limit = normLimit(norms, outer);
    const all = deltas.map((delta, i) => ({ delta, share: alphas[i]!, clip: clipFactor(norms[i]!, limit) }));
    return averageOf(all, outer.robust);
  };
  return {
    order,
    add(delta) {
      const contribution = order[added];
      if (contribution === undefined) throw new Error("The fold already has all of its contributions.");
      const name = `Contribution ${contribution.cid.toString()}`;
      if (delta.length !== elements)
        throw new InvalidObjectError(`${name} has ${delta.length} numbers; the module has ${elements}.`);
      if (!isFiniteTensor(delta)) throw new InvalidObjectError(`${name} holds NaN or infinite numbers.`);
      if (needsAll(outer)) deltas.push(delta);
      else {
        const clip = outer.clipNorm === null ? 1 : clipFactor(normOf(delta), outer.clipNorm);
        accumulate(accumulator, { delta, share: alphas[added]!, clip });
      }
      added += 1;
    },
    finish() {
      if (added < order.length) throw new Error(`The fold has ${added} of ${order.length} contributions.`);
      return step(parent, average(), rescale, outer);
    },
  };
}

/** w_c. Throws InvalidObjectError. */
function weight(contribution: KnownContribution, { weightOf, outer }: FoldConfig): number {
  if (!outer.reweigh) return 1;
  const tokens = weightOf(contribution);
  if (tokens === undefined)
    throw new InvalidObjectError(
      `Contribution ${contribution.cid.toString()} names a version of the router that the run does not have.`,
    );
  return Math.max(1, tokens);
}

/** w_p of the paths that there are, ascending. */
function pathWeights(contributions: readonly KnownContribution[], config: FoldConfig): number[] {
  return [...Map.groupBy(contributions, ({ path }) => path)]
    .toSorted(([a], [b]) => a - b)
    .map(([, own]) => sum(own.map((contribution) => weight(contribution, config))) / own.length);
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

/** Δ = ρ·A, in place, and the optimizer's step. */
function step(parent: ModuleState, average: Float32Array, rescale: number, outer: OuterConfig): ModuleState {
  for (let i = 0; i < average.length; i++) average[i] = rescale * average[i]!;
  const next = outerOptimizer(outer.optimizer).step(parent, average, outer);
  if (!Object.values(next).every(isFiniteTensor))
    throw new InvalidObjectError(
      "The outer update overflows; set outer.clipNorm, or leave out the contribution with huge numbers.",
    );
  return next;
}
