/** Fits the router: k-means over standardised features of a sample of documents (paper section 2.4.1). */
import { kmeansGenerator } from "ml-kmeans";
import { type Breath, createBreath } from "../breath.ts";
import { CorpusError } from "../errors.ts";
import { createRandom, hash64 } from "../random.ts";
import { counted } from "../run/format.ts";
import { pathOf } from "./features.ts";
import { createRouter, decodeRouter, encodeRouter, type KMeansRouter } from "./router.ts";

/** Fits from different seeds; the best is kept, since k-means only finds a local optimum. */
const RESTARTS = 4;
const MAX_ITERATIONS = 50;
/** Documents that are fitted at most: centroids do not get better with more, and the time grows with them. */
const MAX_SAMPLES = { least: 4096, perPath: 64 };
/** A path with less than this part of an equal share of the sample starves. */
const STARVING_SHARE = 0.1;
/** Times that outliers are taken out. Each time a fit has found some. */
const MAX_REFITS = 8;

export interface FitOptions {
  /** Paths, P. */
  paths: number;
  prefixTokens: number;
  seed: number;
}

export interface RouterFit {
  router: KMeansRouter;
  /** Path of each sample. */
  assignments: number[];
  /** Samples of each path. */
  sizes: number[];
}

/**
 * Fits P centroids to the features of N documents, (width) each. k-means likes to spend centroids on a few outliers,
 * whose paths would then have nothing to train on; so documents in starving clusters are left out and the rest is
 * fitted again. Should a path still starve (too many documents are alike), its size says so. Deterministic.
 * Throws CorpusError for fewer than two documents a path, and the signal's reason once it is aborted.
 */
export async function fitRouter(
  features: Float32Array[],
  options: FitOptions,
  signal?: AbortSignal,
): Promise<RouterFit> {
  const breath = createBreath(signal);
  const { paths, prefixTokens, seed } = options;
  if (features.length < 2 * paths)
    throw new CorpusError(
      `The router has ${counted(features.length, "document")} for ${counted(paths, "path")} and needs ${2 * paths}; ` +
        "use a larger corpus, more data.routerFraction or fewer paths.",
    );
  const most = Math.max(MAX_SAMPLES.least, MAX_SAMPLES.perPath * paths);
  let sample =
    features.length > most
      ? createRandom(seed, "router")
          .shuffle([...features])
          .slice(0, most)
      : features;
  let { mean, scale } = moments(sample);
  let clusters = await bestClusters(standardise(sample, mean, scale), paths, seed, breath);
  for (let refit = 0; refit < MAX_REFITS; refit++) {
    const { sizes, assignments } = clusters;
    const fewest = (STARVING_SHARE * sample.length) / paths;
    const fed = sample.filter((_, index) => sizes[assignments[index]!]! >= fewest);
    if (fed.length === sample.length || fed.length < 2 * paths) break;
    sample = fed;
    ({ mean, scale } = moments(sample));
    clusters = await bestClusters(standardise(sample, mean, scale), paths, seed, breath);
  }

  const router = { prefixTokens, mean, scale, centroids: Float32Array.from(clusters.centroids.flat()) };
  const route = createRouter(decodeRouter(encodeRouter(router).bytes));
  const assignments = features.map((values) => pathOf(route, values));
  return { router, assignments, sizes: sizesOf(assignments, paths) };
}

interface Clusters {
  centroids: number[][];
  assignments: number[];
  sizes: number[];
}

/** The tightest of several fits. */
async function bestClusters(
  rows: number[][],
  paths: number,
  seed: number,
  breath: Breath,
): Promise<Clusters> {
  let best: Clusters | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let restart = 0; restart < RESTARTS; restart++) {
    let fit: { centroids: number[][]; clusters: number[] } | undefined;
    for (fit of kmeansGenerator(rows, paths, {
      seed: Number(BigInt.asUintN(31, hash64("router", seed, restart))),
      maxIterations: MAX_ITERATIONS,
    }))
      await breath();
    const { centroids, clusters } = fit!;
    const inertia = rows.reduce((sum, row, i) => sum + squaredDistance(row, centroids[clusters[i]!]!), 0);
    if (best !== undefined && inertia >= least) continue;
    best = { centroids, assignments: clusters, sizes: sizesOf(clusters, paths) };
    least = inertia;
  }
  return best!;
}

function sizesOf(assignments: number[], paths: number): number[] {
  const sizes = Array.from({ length: paths }, () => 0);
  for (const path of assignments) sizes[path]!++;
  return sizes;
}

function squaredDistance(a: number[], b: number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function standardise(features: Float32Array[], mean: Float32Array, scale: Float32Array): number[][] {
  return features.map((values) => Array.from(values, (value, i) => (value - mean[i]!) / scale[i]!));
}

/** Mean and standard deviation per feature; a constant feature has scale 1 and so counts for nothing. */
function moments(features: Float32Array[]): { mean: Float32Array; scale: Float32Array } {
  const width = features[0]!.length;
  const mean = new Float64Array(width);
  const variance = new Float64Array(width);
  for (const values of features)
    for (const [i, value] of values.entries()) mean[i]! += value / features.length;
  for (const values of features)
    for (const [i, value] of values.entries()) variance[i]! += (value - mean[i]!) ** 2 / features.length;
  return {
    mean: Float32Array.from(mean),
    scale: Float32Array.from(variance, (value) => (value > 1e-12 ? Math.sqrt(value) : 1)),
  };
}
