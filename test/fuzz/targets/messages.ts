/** Gossip, streams and records of the DHT. */
import { systemClock } from "../../../src/clock.ts";
import { InvalidObjectError, NetworkError } from "../../../src/errors.ts";
import { withDeadline } from "../../../src/net/deadline.ts";
import { firstMessage } from "../../../src/net/requests.ts";
import { heartbeat, RUN } from "../../../src/sim/large/run.ts";
import { Answer, Ask, Digest, Heartbeat, LineageRecord } from "../../../src/swarm/messages.ts";
import { HeadRecord, headKey, headRecords } from "../../../src/swarm/sync/head-record.ts";
import { key } from "../../unit/objects/samples.ts";
import { cidOf, RUN_ID } from "../../unit/outer/history.ts";
import { mutateBytes, mutateCbor } from "../mutate.ts";
import { addRecord, ANSWER, ASK, asked, createLineage, HISTORY, told } from "./lineage.ts";
import { objectTarget, type Target } from "./target.ts";

const HEAD = { run: RUN, module: "lower/1", head: cidOf("head"), generation: 3, tokens: 1000 };
const headRecord = await HeadRecord.seal(HEAD, key);
async function readHeadRecord(bytes: Uint8Array): Promise<unknown> {
  const handler = headRecords();
  await handler.validate(headKey(RUN, "lower/1"), bytes);
  return handler.select(headKey(RUN, "lower/1"), [headRecord.bytes, bytes]);
}

/** Bytes as a stream delivers them. */
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 1000) yield bytes.subarray(at, at + 1000);
}

export const MESSAGES: readonly Target[] = [
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
];
