/** What people paste and write, and lines of events. */
import { createHash } from "node:crypto";
import { base32 } from "multiformats/bases/base32";
import { readEvent } from "../../../node/session-events.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import {
  CorpusError,
  InvalidObjectError,
  InviteError,
  ManifestError,
  UsageError,
} from "../../../src/errors.ts";
import { parseAddresses } from "../../../src/net/addresses.ts";
import { decodeInvite, encodeInvite } from "../../../src/run/invite.ts";
import { parseRunFile } from "../../../src/run/run-file.ts";
import { RUN } from "../../../src/sim/large/run.ts";
import { mutateCbor, mutateText } from "../mutate.ts";
import { readAudited } from "./readers.ts";
import { bytesOf, read, type Target, textOf } from "./target.ts";
import { TOKENIZERS } from "./tokenizers.ts";

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

const EVENT_LOG = `${JSON.stringify({ at: 1, peer: "peer-1", event: { type: "started", peer: "12D3" } })}
${JSON.stringify({ at: 2, fault: { kind: "kill", peers: ["peer-2"] } })}
`;

export const TEXTS: readonly Target[] = [
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
];
