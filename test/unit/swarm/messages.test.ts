import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { InvalidObjectError } from "../../../src/errors.ts";
import { type ObjectKind, rawBlock } from "../../../src/objects/object.ts";
import { Answer, Ask, Heartbeat, LineageRecord } from "../../../src/swarm/messages.ts";
import { heartbeat, RUN } from "./support.ts";

const { cid } = rawBlock(Buffer.from("block"));
const samples: { kind: ObjectKind<object>; value: object }[] = [
  { kind: Heartbeat, value: heartbeat({ leases: [{ round: 3, path: 1, replica: 0, progress: 0.5 }] }) },
  { kind: LineageRecord, value: { run: RUN, block: Uint8Array.of(1, 2, 3) } },
  { kind: Ask, value: { run: RUN, modules: { "lower/1": { versions: [cid], contributions: [] } } } },
  { kind: Answer, value: { records: [Uint8Array.of(4)], more: false } },
];
const GOLDEN = new URL("../../golden/swarm/messages.txt", import.meta.url);

test("messages have the bytes that other versions of Pathweave write", async () => {
  const lines = samples.map(({ kind, value }) => {
    const { bytes } = kind.encode(value);
    return `${kind.kind} ${Buffer.from(bytes).toString("hex")}\n`;
  });
  if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(GOLDEN, lines.join(""));
  assert.equal(lines.join(""), await readFile(GOLDEN, "utf8"));
});

test("what was encoded is decoded again", () => {
  for (const { kind, value } of samples) assert.deepEqual(kind.decode(kind.encode(value).bytes), value);
});

test("any other bytes are refused and never crash", () => {
  for (const { kind, value } of samples) {
    const { bytes } = kind.encode(value);
    fc.assert(
      fc.property(fc.nat(bytes.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const hostile = bytes.slice();
        hostile[at] = hostile[at]! ^ change;
        try {
          kind.decode(hostile);
        } catch (error) {
          assert.ok(error instanceof InvalidObjectError, String(error));
        }
      }),
    );
    assert.throws(() => kind.decode(bytes.subarray(0, -1)), InvalidObjectError);
    assert.throws(() => kind.decode(new Uint8Array(2 << 20)), InvalidObjectError);
  }
});

test("values out of range are refused before they are sent", () => {
  const wrong = { round: 0, path: 0, replica: 0, progress: 1.5 };
  assert.throws(() => Heartbeat.encode(heartbeat({ leases: [wrong] })), InvalidObjectError);
  assert.throws(() => Heartbeat.encode(heartbeat({ heads: new Uint8Array(31) })), InvalidObjectError);
  assert.throws(() => Heartbeat.encode(heartbeat({ tokensPerSecond: Number.NaN })), InvalidObjectError);
});
