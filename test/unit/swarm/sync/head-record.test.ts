import assert from "node:assert/strict";
import { before, test } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import * as dagCbor from "@ipld/dag-cbor";
import type { PrivateKey } from "@libp2p/interface";
import { InvalidObjectError } from "../../../../src/errors.ts";
import { rawBlock } from "../../../../src/objects/object.ts";
import { HeadRecord, headKey, headRecords } from "../../../../src/swarm/sync/head-record.ts";
import { RUN } from "../../../../src/sim/large/run.ts";

const key = headKey(RUN, "lower/1");
let owner: PrivateKey;
before(async () => {
  owner = await generateKeyPair("Ed25519");
});

async function record(
  tokens: number,
  head = "head",
  module = "lower/1",
  signer = owner,
): Promise<Uint8Array> {
  const { cid } = rawBlock(Buffer.from(head));
  const { bytes } = await HeadRecord.seal({ run: RUN, module, head: cid, generation: 1, tokens }, signer);
  return bytes;
}

test("a newer head replaces an older one, and never the other way", async () => {
  const handler = headRecords();
  await handler.validate(key, await record(10));
  await handler.validate(key, await record(20));
  await assert.rejects(handler.validate(key, await record(10)), {
    name: "OutdatedError",
    message: /newer head of lower\/1/,
  });
  await handler.validate(key, await record(20));
});

test("a record under another module's or run's key is refused", async () => {
  const handler = headRecords();
  await assert.rejects(handler.validate(key, await record(10, "head", "lower/0")), InvalidObjectError);
  await assert.rejects(handler.validate("/pathweave/x/lower/1", await record(10)), InvalidObjectError);
});

test("a forged, truncated or oversized record is refused", async () => {
  const handler = headRecords();
  const valid = await record(10);
  for (let at = 0; at < valid.byteLength; at += 7) {
    const forged = valid.slice();
    forged[at] = (forged[at]! + 1) & 0xff;
    await assert.rejects(handler.validate(key, forged), InvalidObjectError, `byte ${at}`);
  }
  await assert.rejects(handler.validate(key, valid.subarray(0, -1)), InvalidObjectError);
  await assert.rejects(handler.validate(key, new Uint8Array(4096)), InvalidObjectError);
  await handler.validate(key, valid);
});

test("a record that another key signed in the owner's name is refused", async () => {
  const handler = headRecords();
  const thief = await generateKeyPair("Ed25519");
  const [mine, theirs] = [await record(10), await record(10, "head", "lower/1", thief)];
  const node = dagCbor.decode<Record<string, unknown>>(theirs);
  const { publicKey } = dagCbor.decode<{ publicKey: Uint8Array }>(mine);
  const forged = dagCbor.encode({ ...node, publicKey });
  await assert.rejects(handler.validate(key, forged), /signature does not match/);
});

test("a forgery does not move what a server remembers", async () => {
  const handler = headRecords();
  await handler.validate(key, await record(10));
  const forged = (await record(1_000_000)).slice();
  forged[forged.length - 1]! ^= 1;
  await assert.rejects(handler.validate(key, forged), InvalidObjectError);
  await handler.validate(key, await record(20));
});

test("of several valid records the one with more folded tokens is selected, then the lower CID", async () => {
  const handler = headRecords();
  assert.equal(handler.select(key, [await record(10), await record(30), await record(20)]), 1);
  const [a, b] = [rawBlock(Buffer.from("a")).cid, rawBlock(Buffer.from("b")).cid];
  const lower = Buffer.compare(a.bytes, b.bytes) < 0 ? 0 : 1;
  assert.equal(handler.select(key, [await record(10, "a"), await record(10, "b")]), lower);
});
