/**
 * Averages that a minority of outer gradients cannot pull far. Each knows all of them at once, so a fold with one of
 * these policies holds contributions × module numbers in memory instead of one accumulator.
 *
 * Like the plain fold they are bit-exact functions of the gradients in fold order. With fewer than three gradients
 * nothing is a minority, and they are the plain average.
 */
import type { OuterConfig } from "../objects/config.ts";
import { MAJORITY } from "./rules.ts";

const CENTRING_STEPS = 3;

/** One outer gradient of a fold. Its values x are f32(clip · delta). */
export interface Weighed {
  delta: Float32Array;
  /** α; they sum to 1. */
  share: number;
  /** 1 where the gradient is within the limits. */
  clip: number;
}

/** Whether the policy needs all gradients before it can add the first. */
export function needsAll({ clipMedian, robust = "none" }: OuterConfig): boolean {
  return clipMedian !== undefined || robust !== "none";
}

/** ‖delta‖ in binary64, from first to last element. */
export function normOf(delta: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < delta.length; i++) squares += delta[i]! * delta[i]!;
  return Math.sqrt(squares);
}

/** The norm above which one of these is clipped: `clipNorm`, or `clipMedian` times the lower median of all. */
export function normLimit(norms: readonly number[], { clipNorm, clipMedian }: OuterConfig): number {
  const relative =
    clipMedian === undefined || norms.length < MAJORITY ? Infinity : clipMedian * lowerMedian(norms);
  return Math.min(clipNorm ?? Infinity, relative);
}

/** f32(limit / norm), or 1 when the norm is within the limit. */
export function clipFactor(norm: number, limit: number): number {
  return norm > limit ? Math.fround(limit / norm) : 1;
}

function lowerMedian(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1]!;
}

/** A = A + α · (clip · d), every product and sum rounded to binary32 once. */
export function accumulate(accumulator: Float32Array, { delta, share, clip }: Weighed): void {
  // A factor of 1 is exact, so clipping needs no second loop.
  for (let i = 0; i < accumulator.length; i++)
    accumulator[i] = accumulator[i]! + Math.fround(share * Math.fround(clip * delta[i]!));
}

/** The average that the run's policy asks for, of gradients in fold order. */
export function averageOf(all: readonly Weighed[], robust: OuterConfig["robust"]): Float32Array {
  const average = new Float32Array(all[0]!.delta.length);
  if (robust === "trimmed-mean" && all.length >= MAJORITY) trimmedMean(all, average);
  else if (robust === "centred-clipping" && all.length >= MAJORITY) centredClipping(all, average);
  else for (const each of all) accumulate(average, each);
  return average;
}

/** Values that are dropped at each end, of n: a quarter, rounded up, but never all. */
function trimmed(n: number): number {
  return Math.min(Math.ceil(n / 4), (n - 1) >> 1);
}

/**
 * Per element, the α-weighted mean of what is left without the k lowest and the k highest values, equal ones in fold
 * order (Yin et al. 2018): f32(Σ α·x / Σ α), with both sums in binary64 in fold order; products of two binary32
 * numbers are exact there.
 */
function trimmedMean(all: readonly Weighed[], average: Float32Array): void {
  const k = trimmed(all.length);
  const values = new Float32Array(all.length);
  const ranked = new Uint16Array(all.length);
  const kept = new Uint8Array(all.length);
  for (let element = 0; element < average.length; element++) {
    for (let i = 0; i < all.length; i++) {
      const value = Math.fround(all[i]!.clip * all[i]!.delta[element]!);
      values[i] = value;
      let at = i;
      for (; at > 0 && values[ranked[at - 1]!]! > value; at--) ranked[at] = ranked[at - 1]!;
      ranked[at] = i;
    }
    kept.fill(0);
    for (let rank = k; rank < all.length - k; rank++) kept[ranked[rank]!] = 1;
    let [sum, weight] = [0, 0];
    for (let i = 0; i < all.length; i++) {
      if (kept[i] === 0) continue;
      sum += all[i]!.share * values[i]!;
      weight += all[i]!.share;
    }
    average[element] = sum / weight;
  }
}

/**
 * v = 0, then three times: r_i = ‖x_i − v‖ in binary64, c = lower median of r, v = v + Σ α_i · f32(min(1, c / r_i)) ·
 * (x_i − v), every other product and sum rounded to binary32 once (Karimireddy et al. 2021, with the radius taken
 * from the gradients themselves).
 */
function centredClipping(all: readonly Weighed[], average: Float32Array): void {
  const distances = all.map(() => new Float32Array(average.length));
  for (let step = 0; step < CENTRING_STEPS; step++) {
    for (const [index, { delta, clip }] of all.entries()) {
      const distance = distances[index]!;
      for (let i = 0; i < average.length; i++) distance[i] = Math.fround(clip * delta[i]!) - average[i]!;
    }
    const radii = distances.map(normOf);
    const limit = lowerMedian(radii);
    for (const [index, { share }] of all.entries())
      accumulate(average, { delta: distances[index]!, share, clip: clipFactor(radii[index]!, limit) });
  }
}
