/**
 * Every decoder that takes bytes from the network or a disk: valid inputs to start from, and the error that it is
 * documented to throw for any other.
 */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import * as dagCbor from "@ipld/dag-cbor";
import { base32 } from "multiformats/bases/base32";
import { createHash } from "node:crypto";
import { systemClock } from "../../src/clock.ts";
import {
  CorpusError,
  InvalidObjectError,
  InviteError,
  ManifestError,
  NetworkError,
  PathweaveError,
  StorageError,
  UsageError,
} from "../../src/errors.ts";
import { openShard } from "../../src/data/shard.ts";
import { readRecords } from "../../src/data/records.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { silentLogger } from "../../src/log.ts";
import { modelShape, parameterSpecs, elementsOfParts } from "../../src/model/parameters.ts";
import { parseAddresses } from "../../src/net/addresses.ts";
import { loadIdentity } from "../../src/net/identity.ts";
import { withDeadline } from "../../src/net/deadline.ts";
import { firstMessage } from "../../src/net/requests.ts";
import type { RequestHandler } from "../../src/net/types.ts";
import { Contribution } from "../../src/objects/contribution.ts";
import { ShardObject, TokenizerObject } from "../../src/objects/data.ts";
import { Manifest } from "../../src/objects/manifest.ts";
import { dagCborCid, kindOf, type ObjectKind, rawBlock } from "../../src/objects/object.ts";
import { TensorPack } from "../../src/objects/tensor-pack.ts";
import { Version } from "../../src/objects/version.ts";
import { decodeTensors, encodeTensors } from "../../src/outer/codec.ts";
import { CODECS } from "../../src/outer/codecs.ts";
import { Lineage } from "../../src/outer/lineage.ts";
import { openRecord } from "../../src/outer/records.ts";
import { createRandom } from "../../src/random.ts";
import { createRouter, decodeRouter, encodeRouter } from "../../src/routing/router.ts";
import { decodeInvite, encodeInvite } from "../../src/run/invite.ts";
import { parseRunFile } from "../../src/run/run-file.ts";
import { runSizes } from "../../src/run/sizes.ts";
import { createTopology } from "../../src/run/topology.ts";
import { checkManifest, validateConfig } from "../../src/run/validate.ts";
import { CheckedBlockstore } from "../../src/store/blockstore.ts";
import { filesOf } from "../../src/store/directory.ts";
import { openRetention } from "../../src/store/retention.ts";
import { storageError } from "../../src/store/storage-error.ts";
import { readPack } from "../../src/store/pack.ts";
import type { Store } from "../../src/store/types.ts";
import { Announcers } from "../../src/objects/announcers.ts";
import { PathStateObject } from "../../src/objects/path-state.ts";
import { readEventLog } from "../../src/audit/events.ts";
import { createAntiEntropy } from "../../src/swarm/sync/anti-entropy.ts";
import { HeadRecord, headKey, headRecords } from "../../src/swarm/sync/head-record.ts";
import { Answer, Ask, Digest, Heartbeat, LineageRecord } from "../../src/swarm/messages.ts";
import { decodeRound, encodeRound } from "../../src/swarm/rounds/round-states.ts";
import { Remembered } from "../../src/swarm/sync/outside-search.ts";
import { readEvent } from "../../node/session-events.ts";
import {
  basesOf,
  createInit,
  fold,
  GENESIS,
  MODULE,
  RUN_ID,
  TOKENS_PER_STEP,
  cidOf,
} from "../unit/outer/history.ts";
import { key, version } from "../unit/objects/samples.ts";
import { heartbeat, RUN } from "../../src/sim/large/run.ts";
import { mutateBytes, mutateCbor, mutateText, type Mutation } from "./mutate.ts";

export interface Target {
  name: string;
  corpus: readonly Uint8Array[];
  mutate: Mutation;
  /** What `decode` may throw. */
  throws: readonly (new (message: string) => PathweaveError)[];
  /** Share of all inputs, relative to the others; slow decoders have little. */
  weight: number;
  decode(bytes: Uint8Array): unknown;
}

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const read = (pattern: string): Uint8Array[] =>
  globSync(pattern, { cwd: PROJECT })
    .toSorted()
    .map((file) => readFileSync(join(PROJECT, file)));
const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const floats = (count: number): Float32Array => {
  const random = createRandom("fuzz", count);
  return Float32Array.from({ length: count }, () => random.normal());
};
/** Bytes in hex, as `test/golden` has them: with the CID in a line before, or a name and a space. */
const golden = (pattern: string): Uint8Array[] =>
  read(pattern).flatMap((file) =>
    textOf(file).startsWith("pathweave/")
      ? textOf(file)
          .trim()
          .split("\n")
          .map((line) => Buffer.from(line.split(" ")[1]!, "hex"))
      : [Buffer.from(textOf(file).split("\n").slice(1).join(""), "hex")],
  );

const OBJECTS = golden("test/golden/objects/*.txt");
const MESSAGES = golden("test/golden/swarm/*.txt");
const objectsOf = (kind: string): Uint8Array[] =>
  [...OBJECTS, ...MESSAGES].filter((bytes) => kindOf(bytes) === kind);

function objectTarget<T extends object>(kind: ObjectKind<T>, more: Uint8Array[] = []): Target {
  return {
    name: kind.kind.slice("pathweave/".length),
    corpus: [...objectsOf(kind.kind), ...more],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 10,
    decode: (bytes) => kind.decode(bytes),
  };
}

// ---------------------------------------------------------------- a lineage to ask and to tell

async function history(): Promise<{ blocks: Uint8Array[]; ask: Uint8Array; answer: Uint8Array }> {
  const base = {
    run: RUN_ID,
    module: MODULE,
    work: "train" as const,
    round: 0,
    replica: 0,
    delta: cidOf("delta"),
    steps: 1,
    loss: 1,
  };
  const sealed = await Promise.all(
    [0, 1].map((path) =>
      Contribution.seal(
        { ...base, bases: basesOf(MODULE, path, GENESIS.cid), path, tokens: TOKENS_PER_STEP },
        key,
      ),
    ),
  );
  const lineage = createLineage();
  for (const { bytes } of sealed) await addRecord(lineage, bytes);
  const { cid: _, ...next } = fold(GENESIS, lineage.contributions());
  const blocks = [...sealed.map(({ bytes }) => bytes), Version.encode(next).bytes];
  return {
    blocks,
    ask: Ask.encode({ run: RUN_ID, modules: [{ module: MODULE, ...lineage.have() }] }).bytes,
    answer: Answer.encode({ records: blocks, more: false }).bytes,
  };
}

const createLineage = (): Lineage => new Lineage(createInit({ maxStaleness: 8 }));

async function addRecord(lineage: Lineage, bytes: Uint8Array): Promise<void> {
  const { type, record } = await openRecord(bytes);
  if (type === "version") lineage.addVersion(record);
  else lineage.addContribution(record);
}

const { blocks: HISTORY, ask: ASK, answer: ANSWER } = await history();

/** The handler that peers ask, over a lineage of three records. */
async function asked(): Promise<RequestHandler> {
  const lineage = createLineage();
  const known = new Map<string, Uint8Array>();
  for (const bytes of HISTORY) {
    await addRecord(lineage, bytes);
    known.set(dagCborCid(bytes).toString(), bytes);
  }
  const { promise, resolve } = Promise.withResolvers<RequestHandler>();
  const antiEntropy = createAntiEntropy({
    clock: systemClock,
    network: {
      handle: async (_protocol, handler) => resolve(handler),
      request: () => Promise.reject(new Error()),
    },
    run: RUN_ID,
    lineages: new Map([[MODULE, lineage]]),
    blockOf: async (cid) => known.get(cid.toString()),
    ingest: async () => false,
    log: silentLogger,
  });
  await antiEntropy.start();
  return promise;
}

/** Asks a peer whose answers are always the given bytes. */
const MORE = Answer.encode({ records: [], more: true }).bytes;

async function told(bytes: Uint8Array): Promise<void> {
  const lineage = createLineage();
  const antiEntropy = createAntiEntropy({
    clock: systemClock,
    network: {
      handle: async () => {},
      // First it says that it has more.
      request: async (_peer, _protocol, question) => (kindOf(question) === Digest.kind ? MORE : bytes),
    },
    run: RUN_ID,
    lineages: new Map([[MODULE, lineage]]),
    blockOf: async () => undefined,
    ingest: (block) => addRecord(lineage, block).then(() => true),
    log: silentLogger,
  });
  await antiEntropy.ask("peer", new AbortController().signal);
}

// ---------------------------------------------------------------- objects with what they lead to

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

// ---------------------------------------------------------------- DHT records

const HEAD = { run: RUN, module: "lower/1", head: cidOf("head"), generation: 3, tokens: 1000 };
const headRecord = await HeadRecord.seal(HEAD, key);
async function readHeadRecord(bytes: Uint8Array): Promise<unknown> {
  const handler = headRecords();
  await handler.validate(headKey(RUN, "lower/1"), bytes);
  return handler.select(headKey(RUN, "lower/1"), [headRecord.bytes, bytes]);
}

// ---------------------------------------------------------------- texts

const INVITES = [
  encodeInvite({ run: RUN, bootstrap: [] }),
  encodeInvite({
    run: RUN,
    bootstrap: ["/ip4/203.0.113.7/tcp/4001", "/dns4/example.org/tcp/443/tls/ws"],
    swarmKey: Buffer.from("key"),
  }),
];
/** An invite around any payload, with a right checksum. */
function forgeInvite(payload: Uint8Array): string {
  const checksum = createHash("sha256").update("pathweave-invite").update(payload).digest().subarray(0, 5);
  return `pathweave1${base32.baseEncode(Buffer.concat([payload, checksum]))}`;
}
const PAYLOADS = INVITES.map((invite) =>
  base32.baseDecode(invite.slice("pathweave1".length)).subarray(0, -5),
);

const RUN_FILES = [
  ...[...textOf(read("docs/run-file.md")[0]!).matchAll(/```ya?ml\n([\s\S]*?)```/g)].map(([, yaml]) => yaml!),
  "name: tiny\ngrid: [2, 2]\ncorpus: text/**\n",
  `{"name": "json", "corpus": ["a", "b"], "grid": [2], "levels": [{"name": "all", "parts": ["embedding", "blocks 0-3", "head"], "choose": 0}]}`,
].map(bytesOf);

const TOKENIZERS = [
  {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: "<|endoftext|>",
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      vocab: { "<|endoftext|>": 0, a: 1, b: 2, ab: 3, Ġ: 4 },
      merges: ["a b"],
    },
  },
  {
    version: "1.0",
    added_tokens: [
      { id: 0, content: "</s>", special: true },
      { id: 1, content: "<unk>", special: true },
      { id: 6, content: "tool", special: false, normalized: true },
    ],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Lowercase" },
        { type: "Replace", pattern: { String: "1" }, content: "b" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: { Regex: "(?i:'s)|[^\\s\\p{L}a-c]?\\p{L}+|\\s{1,3}(?!\\S)" },
          behavior: "MergedWithPrevious",
          invert: false,
        },
        { type: "Digits", individual_digits: true },
        { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: {},
    },
    decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: false,
      vocab: { "</s>": 0, "<unk>": 1, a: 2, b: 3, ab: 4, "▁": 5, tool: 6 },
      merges: [["a", "b"]],
    },
  },
].map((tokenizer) => bytesOf(JSON.stringify(tokenizer)));

/** Loads a tokenizer and uses it once; what it makes of a text is not judged. */
function useTokenizer(bytes: Uint8Array): unknown {
  const tokenizer = loadTokenizer(bytes);
  return tokenizer.decode(tokenizer.encode("ab a 12 <|endoftext|>\n"));
}

const EVENTS = [
  { type: "head", module: "lower/1", generation: 3, cid: "bafy" },
  { type: "member", peer: "12D3", state: "joined", live: 2 },
  { work: "train", type: "step", round: 0, path: 1, replica: 0, step: 3, steps: 25, loss: 3.25 },
].map((event) => bytesOf(JSON.stringify(event)));

// ---------------------------------------------------------------- files

/** Opens a database in which the bytes are what `lineage:lower/1` retains, as `openNode` does. */
async function readRetained(bytes: Uint8Array): Promise<unknown> {
  const database = {
    async *entries(prefix: string): AsyncGenerator<[string, Uint8Array]> {
      if (prefix === "/pathweave/retained/") yield [`${prefix}lineage%3Alower%2F1`, bytes];
    },
    get: async () => undefined,
    batch: async () => {},
  };
  const files = filesOf(folder);
  try {
    const blocks = new CheckedBlockstore(files, silentLogger);
    const retention = await openRetention({ files, database, blocks, clock: systemClock });
    return retention.retained("lineage:lower/1");
  } catch (error) {
    throw storageError(error, folder);
  }
}

const folder = mkdtempSync(join(tmpdir(), "pathweave-fuzz-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}
async function readCorpus(name: string, bytes: Uint8Array): Promise<number> {
  let records = 0;
  for await (const record of readRecords({ path: fileOf(name, bytes), source: name }, {})) {
    records++;
    void record;
  }
  return records;
}
/** The log that a struck demo writes, as the auditor reads it. */
async function readAudited(bytes: Uint8Array): Promise<number> {
  let events = 0;
  for await (const event of readEventLog(fileOf("events.ndjson", bytes))) events += event.at > 0 ? 1 : 0;
  return events;
}
const EVENT_LOG = `${JSON.stringify({ at: 1, peer: "peer-1", event: { type: "started", peer: "12D3" } })}
${JSON.stringify({ at: 2, fault: { kind: "kill", peers: ["peer-2"] } })}
`;
const LINES = bytesOf(`{"text": "one"}\n"two"\n\n{"content": "three"}\n`);
const CORPUS_FILES: [string, string | Uint8Array][] = [
  ["a.txt", "Call me Ishmael.\n"],
  ["a.md", "---\ntitle: a\n---\nText.\n"],
  ["a.json", '[{"text": "one"}, "two", {"messages": [{"role": "user", "content": "three"}]}]'],
  ["a.csv", 'id,text\n1,"a, b"\n2,c\n'],
  ["a.html", "<html><body><p>one</p><script>no</script>two</body></html>"],
  ["a.txt.gz", gzipSync("some text")],
  ["a.txt.zst", zstdCompressSync("some text")],
  [
    "a.txt.bz2",
    Buffer.from("QlpoOTFBWSZTWXAtJV0AAAhZgAAQUAAAEAJAFEogACIBoZCAaaaFfIbsEMUGCnxdyRThQkHAtJV0", "base64"),
  ],
];
await loadIdentity(join(folder, "golden.key"));
const IDENTITY = readFileSync(join(folder, "golden.key"));
const ROUND = encodeRound({
  slot: { work: "train", round: 1, path: 2, replica: 0 },
  bases: [GENESIS.cid],
  parameters: Float32Array.of(1, 2, 3),
  moments: { step: 7, firstMoment: Float32Array.of(4, 5, 6), secondMoment: Float32Array.of(7, 8, 9) },
  progress: { steps: 3, loss: 2.5, warmsUp: false },
});

// ---------------------------------------------------------------- all of them

export const TARGETS: readonly Target[] = [
  // Gossip and streams.
  objectTarget(Heartbeat, [
    Heartbeat.encode(heartbeat({ leaving: true, role: "observer", tokensPerSecond: 1e6 })).bytes,
  ]),
  {
    ...objectTarget(LineageRecord),
    corpus: HISTORY.map((block) => LineageRecord.encode({ run: RUN, block }).bytes),
    decode: (bytes) => addRecord(createLineage(), LineageRecord.decode(bytes).block),
  },
  objectTarget(Ask, [ASK]),
  objectTarget(Answer, [ANSWER]),
  objectTarget(Digest),
  {
    name: "anti-entropy handler",
    corpus: [ASK, Digest.encode({ run: RUN_ID, digest: new Uint8Array(32) }).bytes],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 5,
    decode: await asked().then((handler) => (bytes: Uint8Array) => handler("peer", bytes)),
  },
  {
    name: "anti-entropy answers",
    corpus: [ANSWER],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 3,
    decode: told,
  },
  {
    name: "request framing",
    corpus: [Uint8Array.of(3, 1, 2, 3), Buffer.concat([Uint8Array.of(0x90, 1), Buffer.alloc(0x90, 7)])],
    mutate: mutateBytes,
    throws: [NetworkError],
    weight: 5,
    decode: (bytes) =>
      withDeadline(systemClock, "Reading", 60_000, undefined, () => firstMessage(pieces(bytes), 1 << 16)),
  },
  {
    name: "head record",
    corpus: [headRecord.bytes],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 5,
    decode: readHeadRecord,
  },
  // DAG nodes.
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
  // Texts of people.
  {
    name: "invite",
    corpus: INVITES.map(bytesOf),
    mutate: mutateText,
    throws: [InviteError],
    weight: 5,
    decode: (bytes) => decodeInvite(textOf(bytes)),
  },
  {
    name: "invite payload",
    corpus: PAYLOADS,
    mutate: mutateCbor,
    throws: [InviteError],
    weight: 5,
    decode: (bytes) => decodeInvite(forgeInvite(bytes)),
  },
  {
    name: "run file",
    corpus: RUN_FILES,
    mutate: mutateText,
    throws: [ManifestError],
    weight: 0.4,
    decode: (bytes) => parseRunFile(textOf(bytes), "run.yaml"),
  },
  {
    name: "address",
    corpus: ["/dns4/a.org/tcp/443/tls/ws/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"].map(
      bytesOf,
    ),
    mutate: mutateText,
    throws: [UsageError],
    weight: 3,
    decode: (bytes) => parseAddresses([textOf(bytes)], "dial"),
  },
  {
    name: "tokenizer file",
    corpus: TOKENIZERS,
    mutate: mutateText,
    throws: [CorpusError],
    weight: 1,
    decode: useTokenizer,
  },
  {
    name: "event log",
    corpus: EVENTS,
    mutate: mutateText,
    throws: [],
    weight: 5,
    decode: (bytes) => readEvent(textOf(bytes)),
  },
  {
    name: "audited events",
    corpus: [bytesOf(EVENT_LOG)],
    mutate: mutateText,
    throws: [InvalidObjectError],
    weight: 0.2,
    decode: readAudited,
  },
  // Files of a peer.
  objectTarget(PathStateObject),
  objectTarget(Announcers),
  objectTarget(Remembered, [
    Remembered.encode({ peers: [{ peer: "12D3", addresses: ["/ip4/1.2.3.4/tcp/1"] }] }).bytes,
  ]),
  {
    name: "round state",
    corpus: [ROUND],
    mutate: mutateBytes,
    throws: [InvalidObjectError],
    weight: 10,
    decode: decodeRound,
  },
  {
    name: "lineage list",
    corpus: [dagCbor.encode([]), dagCbor.encode([RUN, GENESIS.cid, cidOf("a")])],
    mutate: mutateCbor,
    throws: [StorageError],
    weight: 10,
    decode: readRetained,
  },
  {
    name: "identity",
    corpus: [IDENTITY],
    mutate: mutateText,
    throws: [StorageError],
    weight: 0.2,
    decode: (bytes) => loadIdentity(fileOf("identity.key", bytes)),
  },
  // Corpora: everything that is wrong in them is told in what is read.
  ...CORPUS_FILES.map(([name, content]): Target => ({
    name: `corpus, ${name}`,
    corpus: [typeof content === "string" ? bytesOf(content) : new Uint8Array(content)],
    mutate: mutateBytes,
    throws: [],
    weight: 0.05,
    decode: (bytes) => readCorpus(name, bytes),
  })),
  {
    name: "jsonl",
    corpus: [LINES],
    mutate: mutateText,
    throws: [],
    weight: 0.2,
    decode: (bytes) => readCorpus("corpus.jsonl", bytes),
  },
  {
    name: "parquet",
    corpus: read("test/golden/data/*.parquet"),
    mutate: mutateBytes,
    throws: [],
    weight: 0.2,
    decode: (bytes) => readCorpus("corpus.parquet", bytes),
  },
];

/** A decoder of one length refuses another; here any length may be right. */
function attempt(decode: () => unknown, kind: new () => Error = InvalidObjectError): unknown {
  try {
    return decode();
  } catch (error) {
    if (error instanceof kind) return undefined;
    throw error;
  }
}

/** Bytes as a stream delivers them. */
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 1000) yield bytes.subarray(at, at + 1000);
}
