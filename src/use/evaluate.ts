/**
 * Perplexity on held-out documents. All models, dense included, are scored on every token but each document's
 * routing prefix (paper section 7.2), so that no model sees less than another.
 */
import { evaluationBatches, type EvaluationOptions } from "../data/evaluation.ts";
import { createEngine } from "../engine/engine.ts";
import type { Engine } from "../engine/types.ts";
import type { DeviceOptions, Peer } from "../peer/types.ts";
import { modelOfPeer, pathParameters, routeDocuments } from "./path-model.ts";

export interface Score {
  /** Summed negative log-likelihood, nats. */
  nll: number;
  tokens: number;
}

export function perplexity({ nll, tokens }: Score): number {
  return Math.exp(nll / tokens);
}

/** Scores of a run's held-out documents. */
export interface RunEvaluation {
  /** The warm start, from which every path set out. */
  seed: Score;
  /** Models that were given, by name. */
  others: Record<string, Score>;
  /** The heads: every document scored by the path it is routed to. */
  dipaco: Score;
  /** By path: documents routed to it, and the scores of the seed and of the path on them. */
  paths: { documents: number; seed: Score; dipaco: Score }[];
}

/**
 * Evaluates a run's heads, fetched from the swarm, and any other parameters of the same shape, which are asked for when
 * the heads are done, in order. `onProgress` receives sequences scored and the total over all models.
 */
export async function evaluateRun(
  peer: Peer,
  device: DeviceOptions,
  others: Record<string, () => Promise<Float32Array>>,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
): Promise<RunEvaluation> {
  const { manifest, topology, shape } = peer;
  const validation = await peer.shard(manifest.validation);
  const documents = Array.from({ length: validation.documents }, (_, index) => validation.document(index));
  const { batchSize } = manifest.config.training;
  const options: EvaluationOptions = {
    sequenceLength: shape.sequenceLength,
    endOfText: validation.endOfText,
    prefixTokens: manifest.config.routing.prefixTokens,
    batchSize,
  };
  const rows = [...evaluationBatches(documents, options)].reduce(
    (sum, batch) => sum + batch.documents.length,
    0,
  );
  const total = rows * (2 + Object.keys(others).length);
  let done = 0;
  const count = (scored: number): void => onProgress((done += scored), total);

  const model = modelOfPeer(peer);
  const seed = await pathParameters(model, 0, signal, "genesis");
  onProgress(0, total);
  const router = await peer.router();
  const { endOfText } = options;
  const routes: number[] = [];
  for await (const path of routeDocuments(documents, { router, seed, shape, device, endOfText, batchSize }))
    routes.push(path);
  const engine = await createEngine({ shape, batchSize, ...device });
  try {
    const scoreOf = (parameters: Float32Array, chosen: Int32Array[]): Promise<Score> =>
      scoreDocuments(engine, parameters, chosen, options, count);
    const paths: RunEvaluation["paths"] = [];
    for (let path = 0; path < topology.paths; path++) {
      const own = documents.filter((_, index) => routes[index] === path);
      const head = await pathParameters(model, path, signal);
      paths.push({ documents: own.length, seed: await scoreOf(seed, own), dipaco: await scoreOf(head, own) });
    }
    const scores: Record<string, Score> = {};
    for (const [name, parameters] of Object.entries(others))
      scores[name] = await scoreOf(await parameters(), documents);
    return {
      seed: sum(paths.map((path) => path.seed)),
      dipaco: sum(paths.map((path) => path.dipaco)),
      others: scores,
      paths,
    };
  } finally {
    await engine.close();
  }
}

/** Summed over the targets of documents, in order. `onRows` receives sequences as they are scored. */
export async function scoreDocuments(
  engine: Engine,
  parameters: Float32Array,
  documents: Int32Array[],
  options: EvaluationOptions,
  onRows: (rows: number) => void,
): Promise<Score> {
  let nll = 0;
  let tokens = 0;
  for (const batch of evaluationBatches(documents, options)) {
    for (const row of await engine.score(parameters, batch)) nll += row;
    for (const weight of batch.mask) tokens += weight;
    onRows(batch.documents.length);
  }
  return { nll, tokens };
}

function sum(scores: Score[]): Score {
  return scores.reduce((a, b) => ({ nll: a.nll + b.nll, tokens: a.tokens + b.tokens }), {
    nll: 0,
    tokens: 0,
  });
}
