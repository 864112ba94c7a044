/** The average of outer gradients that a run's policy asks for, in binary32 and in fold order. */
import type { OuterConfig } from "../objects/config.ts";
import type { Gradient } from "./outer-update.ts";

/** With fewer gradients there is no majority: no median limits a norm, and every average is the plain one. */
const MAJORITY = 3;
const CENTRING_STEPS = 3;
const f32 = Math.fround;

interface Part {
  values: Float32Array;
  /** α. */
  share: number;
}

/** Gradients are read once for their norms and once for their values, so that a plain average never holds two. */
export async function averageOf(
  gradients: readonly Gradient[],
  shareOf: (gradient: Gradient) => number,
  length: number,
  outer: OuterConfig,
): Promise<Float32Array> {
  const { robust = "none" } = outer;
  const limit = await normLimit(gradients, outer);
  const read = async (gradient: Gradient): Promise<Part> => {
    const values = await gradient.values();
    const factor = factorTo(limit, normOf(values));
    return { values: values.map((value) => f32(factor * value)), share: shareOf(gradient) };
  };
  const average = new Float32Array(length);
  if (robust === "none" || gradients.length < MAJORITY) {
    for (const gradient of gradients) add(average, await read(gradient));
    return average;
  }
  const parts: Part[] = [];
  for (const gradient of gradients) parts.push(await read(gradient));
  return robust === "trimmed-mean" ? trimmedMean(parts, average) : centredClipping(parts, average);
}

function add(average: Float32Array, { values, share }: Part): void {
  for (let i = 0; i < average.length; i++) average[i] = f32(average[i]! + f32(share * values[i]!));
}

/** The norm to which a gradient is clipped: `clipNorm`, and `clipMedian` times the lower median of all norms. */
async function normLimit(gradients: readonly Gradient[], outer: OuterConfig): Promise<number> {
  const { clipNorm, clipMedian } = outer;
  const fixed = clipNorm ?? Number.POSITIVE_INFINITY;
  if (clipMedian === undefined || gradients.length < MAJORITY) return fixed;
  const norms: number[] = [];
  for (const gradient of gradients) norms.push(normOf(await gradient.values()));
  return Math.min(fixed, clipMedian * lowerMedian(norms));
}

/** The L2 norm, in binary64. */
function normOf(values: Float32Array): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

function factorTo(limit: number, norm: number): number {
  return norm > limit ? f32(limit / norm) : 1;
}

function lowerMedian(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length / 2) - 1]!;
}

/**
 * Of each element the weighted mean without the lowest and the highest quarter of values (rounded up, but at least
 * one is left); of equal values the earlier in fold order is the lower. The sums are in binary64 and in fold order.
 */
function trimmedMean(parts: readonly Part[], average: Float32Array): Float32Array {
  const cut = Math.min(Math.ceil(parts.length / 4), Math.floor((parts.length - 1) / 2));
  for (let i = 0; i < average.length; i++) {
    const ranked = [...parts.keys()].toSorted((a, b) => parts[a]!.values[i]! - parts[b]!.values[i]! || a - b);
    const kept = ranked.slice(cut, parts.length - cut).toSorted((a, b) => a - b);
    let [sum, shares] = [0, 0];
    for (const index of kept) {
      sum += parts[index]!.share * parts[index]!.values[i]!;
      shares += parts[index]!.share;
    }
    average[i] = sum / shares;
  }
  return average;
}

/** Three times from zero: the centre moves by the weighted mean of the distances to it, clipped to their lower median. */
function centredClipping(parts: readonly Part[], centre: Float32Array): Float32Array {
  for (let step = 0; step < CENTRING_STEPS; step++) {
    const distances = parts.map(({ values, share }) => ({
      values: values.map((value, i) => f32(value - centre[i]!)),
      share,
    }));
    const radii = distances.map(({ values }) => normOf(values));
    const limit = lowerMedian(radii);
    for (const [index, { values, share }] of distances.entries()) {
      const factor = factorTo(limit, radii[index]!);
      add(centre, { values: values.map((value) => f32(factor * value)), share });
    }
  }
  return centre;
}
