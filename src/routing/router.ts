/** The router as an object on IPFS and as a function. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import { RouterObject } from "../objects/data.ts";
import type { Block } from "../objects/object.ts";
import type { Version } from "../objects/version.ts";
import type { Router } from "./types.ts";

/** k-means over standardised features. */
export interface KMeansRouter {
  prefixTokens: number;
  /** (features) */
  mean: Float32Array;
  /** (features), positive */
  scale: Float32Array;
  /** (paths, features) row-major */
  centroids: Float32Array;
}

/** The router object of a version of the router. Throws InvalidObjectError when it has none. */
export function routerOf({ state }: Version): CID {
  const { router } = state;
  if (router === undefined) refuse("its version has no state of that name");
  return router;
}

/** Encodes a router. Throws InvalidObjectError when the block would be over 1 MiB or a number is not finite. */
export function encodeRouter(router: KMeansRouter): Block {
  const features = router.mean.length;
  const object: RouterObject = {
    method: "kmeans",
    prefixTokens: router.prefixTokens,
    features,
    paths: router.centroids.length / features,
    mean: bytesOf(router.mean),
    scale: bytesOf(router.scale),
    centroids: bytesOf(router.centroids),
  };
  const block = RouterObject.encode(object);
  createRouter(object);
  return block;
}

/** Decodes and checks the block of a hostile router. Throws InvalidObjectError. */
export function decodeRouter(bytes: Uint8Array): RouterObject {
  const object = RouterObject.decode(bytes);
  createRouter(object);
  return object;
}

/**
 * Makes a router of its object. Throws InvalidObjectError when sizes disagree, a number is not finite or a scale is
 * not positive.
 */
export function createRouter(object: RouterObject): Router {
  const { paths, features, prefixTokens } = object;
  if (paths < 1 || features < 1 || prefixTokens < 1) refuse("it has no paths, no features or no prefix");
  const read = (name: "mean" | "scale" | "centroids", count: number): Float64Array => {
    const bytes = object[name];
    if (bytes.byteLength !== 4 * count) refuse(`${name} has ${bytes.byteLength} bytes, not ${4 * count}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const values = Float64Array.from({ length: count }, (_, index) => view.getFloat32(4 * index, true));
    if (!values.every(Number.isFinite)) refuse(`${name} holds a number that is not finite`);
    return values;
  };
  const mean = read("mean", features);
  const scale = read("scale", features);
  const centroids = read("centroids", paths * features);
  if (scale.some((value) => value <= 0)) refuse("a scale is not positive");

  return {
    paths,
    prefixTokens,
    width: features,
    rank(values) {
      if (values.length !== features)
        throw new RangeError(`Expected ${features} features, got ${values.length}.`);
      const distances = new Float64Array(paths);
      for (let path = 0; path < paths; path++)
        for (let i = 0; i < features; i++)
          distances[path]! += ((values[i]! - mean[i]!) / scale[i]! - centroids[path * features + i]!) ** 2;
      if (!distances.every(Number.isFinite)) throw new RangeError("The features are not finite.");
      // Ties go to the lower path, so that equal centroids do not depend on the sort.
      return Array.from(distances.keys()).toSorted((a, b) => distances[a]! - distances[b]! || a - b);
    },
  };
}

function refuse(reason: string): never {
  throw new InvalidObjectError(`The router is invalid: ${reason}.`);
}

function bytesOf(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setFloat32(4 * index, value, true);
  return bytes;
}
