/** Files of a peer, and corpora. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as dagCbor from "@ipld/dag-cbor";
import { systemClock } from "../../../src/clock.ts";
import { InvalidObjectError, StorageError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/log.ts";
import { loadIdentity } from "../../../src/net/identity.ts";
import { Announcers } from "../../../src/objects/announcers.ts";
import { PathStateObject } from "../../../src/objects/path-state.ts";
import { RUN } from "../../../src/sim/large/run.ts";
import { CheckedBlockstore } from "../../../src/store/blockstore.ts";
import { filesOf } from "../../../src/store/directory.ts";
import { openRetention } from "../../../src/store/retention.ts";
import { storageError } from "../../../src/store/storage-error.ts";
import { decodeRound, encodeRound } from "../../../src/swarm/rounds/round-states.ts";
import { Remembered } from "../../../src/swarm/sync/outside-search.ts";
import { cidOf, GENESIS } from "../../unit/outer/history.ts";
import { mutateBytes, mutateCbor, mutateText } from "../mutate.ts";
import { fileOf, folder, readCorpus } from "./readers.ts";
import { bytesOf, objectTarget, read, type Target } from "./target.ts";

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

export const FILES: readonly Target[] = [
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
