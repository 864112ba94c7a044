import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import fc from "fast-check";
import { InvalidObjectError, UnknownFormatError } from "../../../src/errors.ts";
import { type ObjectKind, rawBlock } from "../../../src/objects/object.ts";
import {
  Answer,
  Ask,
  Digest,
  Heartbeat,
  knownLeases,
  LineageRecord,
  unknownWorks,
} from "../../../src/swarm/messages.ts";
import { heartbeat, RUN } from "../../../src/sim/large/run.ts";

const { cid } = rawBlock(Buffer.from("block"));
const samples: { kind: ObjectKind<object>; value: object }[] = [
  {
    kind: Heartbeat,
    value: heartbeat({
      device: "test",
      leases: [{ work: "train", round: 3, path: 1, replica: 0, progress: 0.5 }],
    }),
  },
  { kind: LineageRecord, value: { run: RUN, block: Uint8Array.of(1, 2, 3) } },
  { kind: Ask, value: { run: RUN, modules: [{ module: "lower/1", versions: [cid], contributions: [] }] } },
  { kind: Answer, value: { records: [Uint8Array.of(4)], more: false } },
  { kind: Digest, value: { run: RUN, digest: new Uint8Array(32).fill(5) } },
];
/** Which of the samples each file has. */
const GOLDEN: [file: string, samples: typeof samples][] = [
  ["messages.txt", samples.slice(0, 4)],
  ["anti-entropy-digest.txt", samples.slice(4)],
];

test("messages have the bytes that other versions of Pathweave write", async () => {
  for (const [file, part] of GOLDEN) {
    const lines = part.map(({ kind, value }) => {
      const { bytes } = kind.encode(value);
      return `${kind.kind} ${Buffer.from(bytes).toString("hex")}\n`;
    });
    const path = new URL(`../../golden/swarm/${file}`, import.meta.url);
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(path, lines.join(""));
    assert.equal(lines.join(""), await readFile(path, "utf8"));
  }
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

test("a message of another kind or format, without a key or in another encoding is refused", () => {
  for (const [index, { kind, value }] of samples.entries()) {
    const { bytes } = kind.encode(value);
    for (const [other, sample] of samples.entries())
      if (other !== index) assert.throws(() => sample.kind.decode(bytes), /Expected a .*, found a /);
    const node = { ...value, kind: kind.kind, format: 2 };
    assert.throws(() => kind.decode(dagCbor.encode({ ...node, format: 3 })), UnknownFormatError);
    for (const key of Object.keys(value)) {
      const { [key]: _, ...rest } = node as Record<string, unknown>;
      assert.throws(() => kind.decode(dagCbor.encode(rest)), InvalidObjectError, `without ${key}`);
    }
    // The length of the map, written in two bytes where one will do.
    const long = Buffer.concat([Uint8Array.of(0xb8, bytes[0]! & 0x1f), bytes.subarray(1)]);
    assert.throws(() => kind.decode(long), InvalidObjectError);
    assert.throws(() => kind.decode(Buffer.concat([bytes, Uint8Array.of(0)])), InvalidObjectError);
  }
});

test("keys that a newer Pathweave adds are passed over, and stay where they are", () => {
  for (const { kind, value } of samples) {
    const added = { ...value, surprise: [1] };
    const bytes = dagCbor.encode({ ...added, kind: kind.kind, format: 2 });
    assert.deepEqual(kind.decode(bytes), added);
    assert.deepEqual(kind.encode(added).bytes, bytes);
  }
  const leases = [{ work: "train" as const, round: 3, path: 1, replica: 0, progress: 0.5, surprise: 1 }];
  assert.deepEqual(Heartbeat.decode(Heartbeat.encode(heartbeat({ leases })).bytes).leases, leases);
});

test("leases on kinds of work that only newer peers know stay in a heartbeat, and count for nothing", () => {
  const lease = { work: "train" as const, round: 3, path: 1, replica: 0, progress: 0.5 };
  const leases = [{ work: "score", path: 1, part: "holdout" }, lease];
  const heard = Heartbeat.decode(Heartbeat.encode(heartbeat({ leases })).bytes);
  assert.deepEqual(heard.leases, leases);
  assert.deepEqual(knownLeases(heard), [lease]);
  assert.deepEqual(unknownWorks(heard), ["score"]);
  const { round: _, ...wrong } = lease;
  for (const none of [wrong, { work: 3 }, { progress: 0 }])
    assert.throws(
      () => Heartbeat.encode(heartbeat({ leases: [none as typeof lease] })),
      (error) => error instanceof InvalidObjectError && !(error instanceof UnknownFormatError),
    );
});

test("lists are no longer than their limits", () => {
  const lease = { work: "train" as const, round: 0, path: 0, replica: 0, progress: 0 };
  const decode = (leases: object[]): unknown =>
    Heartbeat.decode(dagCbor.encode({ ...heartbeat({}), leases, kind: "pathweave/heartbeat", format: 2 }));
  assert.doesNotThrow(() => decode(Array.from({ length: 64 }, () => lease)));
  assert.throws(() => decode(Array.from({ length: 65 }, () => lease)), InvalidObjectError);
  const modules = [{ module: "m", versions: Array.from({ length: 1025 }, () => cid), contributions: [] }];
  assert.throws(() => Ask.encode({ run: RUN, modules }), InvalidObjectError);
  const records = Array.from({ length: 4097 }, () => new Uint8Array());
  assert.throws(() => Answer.encode({ records, more: false }), InvalidObjectError);
});

test("values out of range are refused before they are sent", () => {
  const wrong = { work: "train" as const, round: 0, path: 0, replica: 0, progress: 1.5 };
  assert.throws(() => Heartbeat.encode(heartbeat({ leases: [wrong] })), InvalidObjectError);
  assert.throws(() => Heartbeat.encode(heartbeat({ heads: new Uint8Array(31) })), InvalidObjectError);
  assert.throws(() => Heartbeat.encode(heartbeat({ tokensPerSecond: Number.NaN })), InvalidObjectError);
});
