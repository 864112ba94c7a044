/** Chooses the next token. Pure: the randomness is one of the arguments. */
import { PathweaveError } from "../errors.ts";

export interface SamplingOptions {
  /** Divides the logits; 0 takes the likeliest token. */
  temperature: number;
  /**
   * Share of the probability to choose from, in (0, 1]: the likeliest tokens that together have at least that much
   * (nucleus sampling, Holtzman et al. 2020). Of equally likely tokens the lower ids are taken first.
   */
  topP: number;
}

/**
 * The id of the next token: logits (vocabulary), uniform in [0, 1). The same arguments give the same id on every
 * machine that computes `exp` alike. Throws PathweaveError when a logit is not finite.
 */
export function sampleToken(
  logits: Float32Array,
  { temperature, topP }: SamplingOptions,
  uniform: number,
): number {
  let best = 0;
  for (const [id, logit] of logits.entries()) {
    if (!Number.isFinite(logit))
      throw new PathweaveError(
        "The model gives a logit that is not a finite number, so its weights are of no use; take another path with --path.",
      );
    if (logit > logits[best]!) best = id;
  }
  if (temperature === 0) return best;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]!) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (topP >= 1) return draw(weights.keys(), weights, uniform * total);
  const { ids, mass } = nucleus(weights, topP * total);
  return draw(ids, weights, uniform * mass);
}

/** The fewest of the heaviest ids that weigh at least `enough` together. */
function nucleus(weights: Float64Array, enough: number): { ids: number[]; mass: number } {
  const sorted = Array.from(weights.keys()).toSorted((a, b) => weights[b]! - weights[a]! || a - b);
  const ids: number[] = [];
  let mass = 0;
  for (const id of sorted) {
    ids.push(id);
    mass += weights[id]!;
    if (mass >= enough) break;
  }
  return { ids, mass };
}

/** The id at which the running sum of weights passes `point`. */
function draw(ids: Iterable<number>, weights: Float64Array, point: number): number {
  let left = point;
  let last = 0;
  for (const id of ids) {
    if (weights[id] === 0) continue;
    left -= weights[id]!;
    last = id;
    if (left < 0) break;
  }
  return last;
}
