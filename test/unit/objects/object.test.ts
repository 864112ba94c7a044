import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import fc from "fast-check";
import { CID } from "multiformats/cid";
import { identity } from "multiformats/hashes/identity";
import * as sha2 from "multiformats/hashes/sha2";
import { InvalidObjectError } from "../../../src/errors.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { Manifest } from "../../../src/objects/manifest.ts";
import {
  MAX_BLOCK_BYTES,
  kindOf,
  matches,
  type ObjectKind,
  rawBlock,
  rawBlocks,
} from "../../../src/objects/object.ts";
import { TensorPack } from "../../../src/objects/tensor-pack.ts";
import { Version } from "../../../src/objects/version.ts";
import { chunk, contribution, key, node, samples, version } from "./samples.ts";

const invalid = (message: RegExp) => ({ name: "InvalidObjectError", message });
const unknown = (message: RegExp) => ({ name: "UnknownFormatError", message });

/** The node of a value with keys replaced; undefined takes a key out. */
function forge<T extends object>(kind: ObjectKind<T>, value: T, parts: Record<string, unknown>): Uint8Array {
  const written = dagCbor.decode<object>(kind.encode(value).bytes);
  const node = Object.entries({ ...written, ...parts }).filter(([, part]) => part !== undefined);
  return dagCbor.encode(Object.fromEntries(node));
}

/** Every CID in a node that is a link. */
function linksOf(value: unknown): string[] {
  const cid = CID.asCID(value);
  if (cid !== null) return [cid.toString()];
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(linksOf);
}

describe("hostile objects", () => {
  for (const { name, kind, value } of samples)
    describe(name, () => {
      const { bytes } = kind.encode(value);

      it("of another kind or format are refused, saying what to do", () => {
        assert.throws(
          () => kind.decode(forge(kind, value, { kind: "pathweave/other" })),
          invalid(/found a pathweave\/other/),
        );
        assert.throws(() => kind.decode(forge(kind, value, { kind: 7 })), invalid(/found a 7/));
        assert.throws(() => kind.decode(forge(kind, value, { kind: undefined })), invalid(/no kind/));
        assert.throws(
          () => kind.decode(forge(kind, value, { format: 3 })),
          unknown(/has format 3.*use the version of Pathweave that made it/),
        );
        assert.throws(() => kind.decode(forge(kind, value, { format: undefined })), invalid(/no kind/));
        for (const other of samples)
          if (other.kind !== kind) assert.throws(() => other.kind.decode(bytes), invalid(/Expected a/));
      });

      it("with extra or missing keys are refused", () => {
        assert.throws(() => kind.decode(forge(kind, value, { extra: 1 })), invalid(/extra/));
        assert.throws(() => kind.encode({ ...value, extra: 1 }), invalid(/extra/));
        for (const key of Object.keys(value))
          assert.throws(
            () => kind.decode(forge(kind, value, { [key]: undefined })),
            invalid(new RegExp(key)),
          );
      });

      it("that are cut, continued or of one wrong type anywhere are refused", () => {
        for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 100))
          assert.throws(() => kind.decode(bytes.subarray(0, length)), invalid(/Not a/));
        assert.throws(() => kind.decode(Buffer.concat([bytes, Buffer.of(0)])), invalid(/Not a/));
        for (const key of Object.keys(value))
          for (const wrong of [1.5, -1, true, [[]], { a: 1 }])
            assert.throws(() => kind.decode(forge(kind, value, { [key]: wrong })), invalid(/Not a valid/));
      });

      it("that say the same in other bytes are refused", () => {
        // The map's head with its count in a byte of its own, which dag-cbor forbids.
        const long = Buffer.concat([Buffer.of(0xb8, bytes[0]! & 0x1f), bytes.subarray(1)]);
        assert.equal(bytes[0]! >> 5, 5);
        assert.throws(() => kind.decode(long), invalid(/Not a/));
      });

      it("of any bytes, or with any byte changed, are read as themselves or refused", () => {
        const outcome = (input: Uint8Array): void => {
          try {
            assert.equal(Buffer.compare(kind.encode(kind.decode(input)).bytes, input), 0);
          } catch (error) {
            assert.ok(error instanceof InvalidObjectError, (error as Error).stack);
          }
        };
        fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), outcome), { numRuns: 50 });
        fc.assert(
          fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
            const changed = bytes.slice();
            changed[at] = changed[at]! ^ change;
            outcome(changed);
          }),
          { numRuns: 300 },
        );
      });
    });

  it("over 1 MiB are refused before they are read, and are not written", () => {
    const big = { ...version, contributions: Array.from({ length: 8192 }, (_, i) => node(`${i}`)) };
    assert.ok(Version.encode(big).bytes.length < MAX_BLOCK_BYTES);
    assert.throws(
      () => Version.decode(new Uint8Array(MAX_BLOCK_BYTES + 1)),
      invalid(/over the limit of 1 MiB/),
    );
    const tensors = Array.from({ length: 4096 }, (_, i) => ({
      name: `${i}`.padEnd(128, "x"),
      shape: Array(8).fill(2 ** 40) as number[],
    }));
    const chunks = Array.from({ length: 16_384 }, () => chunk("x"));
    assert.throws(
      () => TensorPack.encode({ codec: "f32", tensors, elements: 1, bytes: 4, chunks }),
      invalid(/over the limit/),
    );
  });

  it("with more entries than allowed are refused", () => {
    const contributions = Array.from({ length: 8193 }, () => node("same"));
    assert.throws(() => Version.encode({ ...version, contributions }), invalid(/contributions/));
  });

  it("nested a million deep are refused", () => {
    for (const byte of [0x81, 0xa1, 0xd8])
      assert.throws(() => Version.decode(new Uint8Array(MAX_BLOCK_BYTES).fill(byte)), invalid(/Not a/));
  });

  it("with counts that are negative, fractional or above 2^53 are refused", () => {
    for (const tokens of [-1, 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => Version.encode({ ...version, tokens }), invalid(/tokens/));
    assert.throws(() => Version.decode(forge(Version, version, { tokens: 2n ** 60n })), invalid(/tokens/));
  });

  it("with a reference that is no CIDv1 of sha2-256 are refused", async () => {
    const bytes = Buffer.from("x");
    const wrong = [
      CID.createV0(await sha2.sha256.digest(bytes)),
      CID.createV1(dagCbor.code, await sha2.sha512.digest(bytes)),
      CID.createV1(dagCbor.code, identity.digest(bytes)),
      "bafkqaaa",
    ];
    for (const parameters of wrong)
      assert.throws(
        () => Version.decode(forge(Version, version, { state: { parameters } })),
        invalid(/parameters/),
      );
    for (const cid of wrong) {
      const parent = typeof cid === "string" ? cid : cid.bytes;
      assert.throws(() => Version.decode(forge(Version, version, { parent })), invalid(/parent/));
    }
    for (const garbage of [new Uint8Array(), Uint8Array.of(1), Uint8Array.of(1, 0x71, 0x12, 32)])
      assert.throws(() => Version.decode(forge(Version, version, { parent: garbage })), invalid(/parent/));
    const pack = samples.find((sample) => sample.name === "tensor-pack")!;
    assert.throws(() => pack.kind.encode({ ...pack.value, chunks: [node("not raw")] }), invalid(/raw block/));
  });

  it("with a key that would change a prototype are refused", () => {
    const state = Object.fromEntries([
      ["__proto__", node("a")],
      ["parameters", node("b")],
    ]);
    assert.throws(() => Version.decode(forge(Version, version, { state })), invalid(/Not a/));
  });

  it("with an undefined option are refused when they are written", () => {
    const { value } = samples.find((sample) => sample.name === "manifest")!;
    const { config } = Manifest.decode(Manifest.encode(value as Manifest).bytes);
    const model = { ...config.model, hidden: undefined };
    assert.throws(
      () => Manifest.encode({ ...value, config: { ...config, model } } as unknown as Manifest),
      invalid(/undefined/),
    );
  });
});

describe("links point down only", () => {
  it("a version links its state, and neither its parent nor its contributions", () => {
    const node = dagCbor.decode<object>(Version.encode(version).bytes);
    assert.deepEqual(linksOf(node).toSorted(), Object.values(version.state).map(String).toSorted());
    const linked = forge(Version, version, { parent: version.parent });
    assert.throws(() => Version.decode(linked), invalid(/not canonical/));
  });

  it("a contribution links its outer gradient, through its envelope", async () => {
    const node = dagCbor.decode<object>((await Contribution.seal(contribution, key)).bytes);
    assert.deepEqual(linksOf(node), [contribution.delta.toString()]);
  });

  it("no key of a map holds a slash, for IPLD's paths are cut there", async () => {
    const keysOf = (value: unknown): string[] => {
      if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
      if (CID.asCID(value) !== null) return [];
      const inner = Object.values(value).flatMap(keysOf);
      return Array.isArray(value) ? inner : [...Object.keys(value), ...inner];
    };
    const blocks = samples.map(({ kind, value }) => kind.encode(value));
    for (const { bytes } of [...blocks, await Contribution.seal(contribution, key)])
      for (const name of keysOf(dagCbor.decode(bytes))) assert.ok(!name.includes("/"), name);
  });
});

describe("blocks", () => {
  it("match their bytes and no others, and only by sha2-256", async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const { cid } = rawBlock(bytes);
    assert.equal(cid.toString(), CID.createV1(0x55, await sha2.sha256.digest(bytes)).toString());
    assert.equal(matches(cid, bytes), true);
    assert.equal(matches(cid, Uint8Array.of(1, 2, 4)), false);
    assert.equal(matches(CID.createV1(0x55, identity.digest(bytes)), bytes), false);
    assert.equal(matches(CID.createV1(0x55, await sha2.sha512.digest(bytes)), bytes), false);
  });

  it("are cut so that all but the last are full", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.integer({ min: 1, max: 40 }), (bytes, size) => {
        const blocks = rawBlocks(bytes, size);
        assert.deepEqual(Buffer.concat(blocks.map((block) => block.bytes)), Buffer.from(bytes));
        assert.equal(blocks.length, Math.ceil(bytes.length / size));
        for (const block of blocks.slice(0, -1)) assert.equal(block.bytes.length, size);
        for (const block of blocks) assert.equal(matches(block.cid, block.bytes), true);
      }),
    );
    assert.throws(() => rawBlock(new Uint8Array(MAX_BLOCK_BYTES + 1)), invalid(/over the limit/));
  });

  it("say their kind, or nothing when they have none", () => {
    for (const { kind, value } of samples) assert.equal(kindOf(kind.encode(value).bytes), kind.kind);
    for (const bytes of [
      new Uint8Array(),
      Uint8Array.of(0xf6),
      dagCbor.encode([]),
      dagCbor.encode({ kind: 1 }),
    ])
      assert.equal(kindOf(bytes), undefined);
  });
});
