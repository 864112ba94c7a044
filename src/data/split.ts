import { hash64 } from "../random.ts";
import type { Split } from "./types.ts";

/** Shares of the corpus that are not trained on; the rest is. Keys as in the run's `data` section. */
export interface SplitFractions {
  validationFraction: number;
  routerFraction: number;
}

/** A uniform number in [0, 1) that depends on the labels alone. */
function uniform(...labels: (string | number)[]): number {
  // The upper 53 bits, so that the quotient is exact and never rounds up to 1.
  return Number(hash64(...labels) >> 11n) / 2 ** 53;
}

/**
 * Where a document goes. A pure function of its id and the seed: neither the order of the corpus nor
 * the other documents matter, so a grown corpus keeps its old documents where they were.
 */
export function splitOf(documentId: string, seed: number, fractions: SplitFractions): Split {
  const position = uniform("split", seed, documentId);
  if (position < fractions.validationFraction) return "validation";
  if (position < fractions.validationFraction + fractions.routerFraction) return "router";
  return "train";
}

/** Whether a training document belongs to the early-stopping holdout of the path it was routed to. */
export function isHoldout(documentId: string, seed: number, holdoutFraction: number): boolean {
  return uniform("holdout", seed, documentId) < holdoutFraction;
}
