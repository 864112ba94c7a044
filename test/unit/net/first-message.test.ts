import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "it-length-prefixed";
import { firstMessage } from "../../../src/net/requests.ts";

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}
const frame = (byteLength: number): Uint8Array =>
  encode.single(new Uint8Array(byteLength).fill(7)).subarray();

test("a message is the same however the stream cuts it", async () => {
  for (const size of [1, 100, 10_000])
    assert.deepEqual(await firstMessage(inPieces(frame(5000), size), 1 << 20), new Uint8Array(5000).fill(7));
});

test("a message that is cut short, too long or cut into crumbs is refused", async () => {
  await assert.rejects(firstMessage(inPieces(frame(10).subarray(0, -1), 4), 1 << 20), /end/i);
  await assert.rejects(firstMessage(inPieces(new Uint8Array(), 4), 1 << 20), /ended early/);
  await assert.rejects(firstMessage(inPieces(frame(5000), 5000), 4999), /too long/);
  await assert.rejects(firstMessage(inPieces(frame(70_000), 1), 1 << 20), /more than 65536 pieces/);
});
