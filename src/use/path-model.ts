/**
 * What it takes to use the model of a run: the parameters of its paths, and the way from a text to its path. `evaluate`,
 * `generate`, `export` and the demo share it.
 */
import type { CID } from "multiformats/cid";
import { createEngine } from "../engine/engine.ts";
import { elementsOfParts } from "../model/parameters.ts";
import type { ModelShape } from "../model/types.ts";
import type { Manifest } from "../objects/manifest.ts";
import type { KnownVersion } from "../outer/types.ts";
import type { DeviceOptions, Peer } from "../peer/types.ts";
import { featuresOf, pathOf } from "../routing/features.ts";
import type { Router } from "../routing/types.ts";
import type { Topology } from "../run/types.ts";
import { concatenate } from "../swarm/modules/module-states.ts";
import type { Plan } from "../plan/types.ts";

/** Of every module there is the newest version, and the one that the run began with. */
export type Which = "head" | "genesis";

/** Where the model of a run is read: a peer that asks others, or a folder. */
export interface ModelSource {
  readonly run: CID;
  readonly manifest: Manifest;
  readonly topology: Topology;
  readonly plan: Plan;
  readonly shape: ModelShape;
  head(module: string): KnownVersion;
  /** Parameters of a module. Throws UnavailableError when no peer gives them. */
  parameters(module: string, of: Which, signal: AbortSignal): Promise<Float32Array>;
  /** The bytes of the run's `tokenizer.json`. */
  tokenizerJson(): Promise<Uint8Array>;
  router(): Promise<Router>;
  /** Bytes of blocks that came from other peers so far. */
  bytesReceived(): number;
}

/** The model as the peers of the run have it. */
export function modelOfPeer(peer: Peer): ModelSource {
  const { run, manifest, topology, shape, swarm, store } = peer;
  return {
    run,
    manifest,
    topology,
    plan: swarm.plan,
    shape,
    head: (module) => swarm.lineage(module).head(),
    parameters: (module, of, signal) => swarm.parameters(module, of, signal),
    tokenizerJson: () => peer.tokenizerJson(),
    router: () => peer.router(),
    bytesReceived: () => store.transferred.bytesIn,
  };
}

/** The parameters of a path as one flat vector: the heads of its modules, or their genesis (the warm start). */
export async function pathParameters(
  { topology, parameters }: Pick<ModelSource, "topology" | "parameters">,
  path: number,
  signal: AbortSignal,
  of: Which = "head",
): Promise<Float32Array> {
  const modules = topology.modulesOfPath(path);
  return concatenate(await Promise.all(modules.map((module) => parameters(module, of, signal))));
}

/**
 * What routing needs of the seed model, as the flat vector of a path: features are hidden states, which no head takes
 * part in, so modules that are nothing but head are zeros here and need not be fetched.
 */
export async function seedParameters(
  { topology, shape, parameters }: Pick<ModelSource, "topology" | "shape" | "parameters">,
  signal: AbortSignal,
): Promise<Float32Array> {
  const elements = elementsOfParts(shape);
  const parts = topology.modulesOfPath(0).map(async (module, level) => {
    const { parts: own } = topology.levels[level]!;
    if (own.every((part) => part === "head"))
      return new Float32Array(own.reduce((sum, part) => sum + elements.get(part)!, 0));
    return parameters(module, "genesis", signal);
  });
  return concatenate(await Promise.all(parts));
}

export interface RouteOptions {
  router: Router;
  /** Parameters of the seed model. */
  seed: Float32Array;
  shape: ModelShape;
  device: DeviceOptions;
  endOfText: number;
  /** Most documents that are looked at together. */
  batchSize: number;
}

/**
 * The path of every document or prompt, in order: the router on features of the seed model. A text that is shorter than
 * the routing prefix is routed by the tokens that it has, an empty one by end-of-text alone.
 */
export async function* routeDocuments(
  documents: Iterable<Int32Array>,
  { router, seed, shape, device, endOfText, batchSize }: RouteOptions,
): AsyncGenerator<number, void, undefined> {
  const { prefixTokens } = router;
  // Prefixes are short, so a network of their length costs a fraction of the whole one.
  const reader = await createEngine({
    shape: { ...shape, sequenceLength: prefixTokens },
    batchSize,
    ...device,
  });
  try {
    const featured = featuresOf(
      documents,
      (document) => document,
      (tokens, lengths) => reader.features(seed, tokens, lengths),
      { prefixTokens, sequenceLength: prefixTokens, batchSize, endOfText },
    );
    for await (const { features } of featured) yield pathOf(router, features);
  } finally {
    await reader.close();
  }
}

/** The path of one prompt; see `routeDocuments`. Fetches the seed model, unless the run has but one path. */
export async function routePrompt(
  source: ModelSource,
  prompt: ArrayLike<number>,
  endOfText: number,
  device: DeviceOptions,
  signal: AbortSignal,
): Promise<number> {
  if (source.topology.paths === 1) return 0;
  const options = {
    router: await source.router(),
    seed: await seedParameters(source, signal),
    shape: source.shape,
    device,
    endOfText,
    batchSize: 1,
  };
  for await (const path of routeDocuments([Int32Array.from(prompt)], options)) return path;
  throw new Error("No path for a prompt.");
}
