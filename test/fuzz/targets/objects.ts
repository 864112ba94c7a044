/** Nodes of DAGs with what they lead to, and the numbers below them. */
import { InvalidObjectError, ManifestError } from "../../../src/errors.ts";
import { openShard } from "../../../src/data/shard.ts";
import { elementsOfParts, modelShape, parameterSpecs } from "../../../src/model/parameters.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { ShardObject, TokenizerObject } from "../../../src/objects/data.ts";
import { Manifest } from "../../../src/objects/manifest.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { TensorPack } from "../../../src/objects/tensor-pack.ts";
import { Version } from "../../../src/objects/version.ts";
import { decodeTensors, encodeTensors } from "../../../src/outer/codec.ts";
import { CODECS } from "../../../src/outer/codecs.ts";
import { createRouter, decodeRouter, encodeRouter } from "../../../src/routing/router.ts";
import { runSizes } from "../../../src/run/sizes.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { checkManifest, validateConfig } from "../../../src/run/validate.ts";
import { RUN } from "../../../src/sim/large/run.ts";
import { readPack } from "../../../src/store/pack.ts";
import type { Store } from "../../../src/store/types.ts";
import { version } from "../../unit/objects/samples.ts";
import { cidOf } from "../../unit/outer/history.ts";
import { mutateBytes, mutateCbor } from "../mutate.ts";
import { HISTORY } from "./lineage.ts";
import { attempt, floats, objectsOf, objectTarget, type Target } from "./target.ts";

/** A store that has a pack, and 40 zeros as each of its chunks. */
const storeOf = (pack: Uint8Array): Store =>
  ({
    get: async (cid) => (cid.equals(RUN) ? pack : new Uint8Array(40)),
    fetch: async () => {},
  }) satisfies Pick<Store, "get" | "fetch"> as unknown as Store;

const SHARD_TOKENS = rawBlock(Uint8Array.of(5, 0, 6, 0, 0, 0, 7, 0, 0, 0)).bytes;
const SHARD_LENGTHS = rawBlock(Uint8Array.of(3, 0, 0, 0, 2, 0, 0, 0)).bytes;
const SHARD = ShardObject.encode({
  name: "train/0",
  documents: 2,
  tokens: 5,
  width: 2,
  endOfText: 0,
  chunks: [rawBlock(SHARD_TOKENS).cid],
  lengths: [rawBlock(SHARD_LENGTHS).cid],
}).bytes;

/** A shard object, and the two chunks that it lists, one after the other. */
const shardBundle = Buffer.concat([SHARD, SHARD_TOKENS, SHARD_LENGTHS]);
async function openBundle(bytes: Uint8Array): Promise<unknown> {
  const at = bytes.byteLength - SHARD_TOKENS.byteLength - SHARD_LENGTHS.byteLength;
  const object = ShardObject.decode(bytes.subarray(0, Math.max(0, at)));
  const lengths = object.lengths[0]?.toString();
  const chunkOf = async (cid: { toString(): string }): Promise<Uint8Array> =>
    cid.toString() === lengths
      ? bytes.subarray(at + SHARD_TOKENS.byteLength)
      : bytes.subarray(at, at + SHARD_TOKENS.byteLength);
  const shard = await openShard(object, chunkOf, { vocabulary: 8, endOfText: 0, maxBytes: 1 << 20 });
  return shard.documents > 0 ? shard.document(0) : undefined;
}

/** What a joiner does with a manifest before it believes it. */
function readManifest(bytes: Uint8Array): unknown {
  const manifest = Manifest.decode(bytes);
  const { config } = manifest;
  validateConfig(config);
  const topology = createTopology(config);
  checkManifest(manifest, topology);
  const shape = modelShape(config.model);
  parameterSpecs(shape);
  return runSizes(config, topology, elementsOfParts(shape));
}

const PACK = TensorPack.encode({
  codec: "bf16",
  tensors: [{ name: "w", shape: [4, 5] }],
  elements: 20,
  bytes: 40,
  chunks: [rawBlock(new Uint8Array(40)).cid],
}).bytes;

const ROUTER = encodeRouter({
  prefixTokens: 32,
  mean: floats(3),
  scale: Float32Array.of(1, 2, 3),
  centroids: floats(6),
});

export const OBJECTS: readonly Target[] = [
  { ...objectTarget(Manifest), throws: [InvalidObjectError, ManifestError], weight: 4, decode: readManifest },
  objectTarget(Version, [Version.encode({ ...version, state: { parameters: cidOf("parameters") } }).bytes]),
  {
    name: "contribution",
    corpus: [...objectsOf("pathweave/contribution/signed"), ...HISTORY.slice(0, 2)],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 5,
    decode: (bytes) => Contribution.open(bytes),
  },
  objectTarget(TensorPack, [PACK]),
  {
    ...objectTarget(TensorPack, [PACK]),
    name: "tensor-pack reading",
    weight: 5,
    decode: (bytes) => readPack(storeOf(bytes), RUN, { maxBytes: 1 << 20 }),
  },
  objectTarget(ShardObject, [SHARD]),
  {
    name: "shard data",
    corpus: [shardBundle],
    mutate: mutateBytes,
    throws: [InvalidObjectError],
    weight: 3,
    decode: openBundle,
  },
  objectTarget(TokenizerObject),
  {
    name: "router",
    corpus: [...objectsOf("pathweave/router"), ROUTER.bytes],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 5,
    decode: (bytes) => {
      const router = createRouter(decodeRouter(bytes));
      return attempt(() => router.rank(new Float32Array(router.width)), RangeError);
    },
  },
  // Numbers.
  ...Object.keys(CODECS).map((codec): Target => ({
    name: `tensors ${codec}`,
    corpus: [
      encodeTensors(floats(300), codec),
      encodeTensors(floats(1), codec),
      encodeTensors(new Float32Array(257), codec),
    ],
    mutate: mutateBytes,
    throws: [InvalidObjectError],
    weight: 10,
    decode: (bytes) =>
      [300, 1, 257, 0].map((elements) => attempt(() => decodeTensors(bytes, codec, elements))),
  })),
];
