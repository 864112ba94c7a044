import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { generateKeyPair, generateKeyPairFromSeed, publicKeyToProtobuf } from "@libp2p/crypto/keys";
import fc from "fast-check";
import { InvalidObjectError, UnknownFormatError } from "../../../src/errors.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { defineSigned } from "../../../src/objects/signed.ts";
import { z } from "zod";
import { contribution, key } from "./samples.ts";

interface Envelope {
  statement: object;
  publicKey: Uint8Array;
  signature: Uint8Array;
}

const invalid = (message: RegExp) => ({ name: "InvalidObjectError", message });
const block = await Contribution.seal(contribution, key);
const envelope = dagCbor.decode<Envelope & { kind: string; format: number }>(block.bytes);
const open = (parts: Record<string, unknown>) => Contribution.open(dagCbor.encode({ ...envelope, ...parts }));
/** Field 3 with value 1, which readers of protobuf skip. */
const UNKNOWN_FIELD = [0x18, 0x01];

describe("signed objects", () => {
  it("open to their value and signer", async () => {
    assert.deepEqual(await open({}), { value: contribution, signer: key.publicKey.toString() });
  });

  it("one statement of one peer has one CID", async () => {
    assert.equal((await Contribution.seal({ ...contribution }, key)).cid.toString(), block.cid.toString());
  });

  it("with any bit changed are refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(block.bytes.length * 8 - 1), async (bit) => {
        const changed = block.bytes.slice();
        changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7));
        await assert.rejects(Contribution.open(changed), InvalidObjectError);
      }),
      { numRuns: 400 },
    );
  });

  it("cut at any length are refused", async () => {
    for (let length = 0; length < block.bytes.length; length += 7)
      await assert.rejects(Contribution.open(block.bytes.subarray(0, length)), invalid(/Not a/));
  });

  it("with the key of another peer are refused", async () => {
    const other = await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(8));
    await assert.rejects(
      open({ publicKey: publicKeyToProtobuf(other.publicKey) }),
      invalid(/signature does not match/),
    );
  });

  it("with the statement of another envelope are refused", async () => {
    const other = dagCbor.decode<Envelope>(
      (await Contribution.seal({ ...contribution, loss: 1 }, key)).bytes,
    );
    await assert.rejects(open({ statement: other.statement }), invalid(/signature does not match/));
  });

  it("with keys that are not Ed25519, no keys or no points are refused", async () => {
    for (const type of ["secp256k1", "ECDSA"] as const) {
      const { publicKey } = await generateKeyPair(type);
      await assert.rejects(open({ publicKey: publicKeyToProtobuf(publicKey) }), invalid(/only Ed25519/));
      await assert.rejects(Contribution.seal(contribution, await generateKeyPair(type)), invalid(/Ed25519/));
    }
    for (const publicKey of [new Uint8Array(), new Uint8Array(36), new Uint8Array(500_000).fill(8)])
      await assert.rejects(open({ publicKey }), invalid(/only Ed25519/));
    for (const fill of [0x00, 0xff]) {
      const publicKey = Uint8Array.from([...envelope.publicKey.slice(0, 4), ...Array<number>(32).fill(fill)]);
      await assert.rejects(open({ publicKey }), invalid(/signature does not match/));
    }
  });

  it("in other bytes of the same statement are refused, since each would have its own CID", async () => {
    const { publicKey, signature } = envelope;
    await assert.rejects(
      open({ publicKey: Uint8Array.from([...publicKey, ...UNKNOWN_FIELD]) }),
      invalid(/only Ed25519/),
    );
    const swapped = Uint8Array.from([...publicKey.slice(2), ...publicKey.slice(0, 2)]);
    await assert.rejects(open({ publicKey: swapped }), invalid(/only Ed25519/));
    // s + L is the same scalar; RFC 8032 allows only s < L.
    const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
    let scalar = order;
    for (const [i, byte] of signature.slice(32).entries()) scalar += BigInt(byte) << BigInt(8 * i);
    const malleated = signature.slice();
    for (let i = 0; i < 32; i++) malleated[32 + i] = Number((scalar >> BigInt(8 * i)) & 0xffn);
    await assert.rejects(open({ signature: malleated }), invalid(/signature does not match/));
    for (const other of [new Uint8Array(), signature.slice(1), Uint8Array.from([...signature, 0])])
      await assert.rejects(open({ signature: other }), invalid(/signature does not match/));
  });

  it("with extra keys, of other formats or unsigned are refused", async () => {
    await assert.rejects(open({ extra: 1 }), invalid(/extra/));
    await assert.rejects(open({ format: 3 }), { name: "UnknownFormatError", message: /format 3/ });
    const statement = dagCbor.encode(envelope.statement);
    await assert.rejects(Contribution.open(statement), invalid(/Expected a pathweave\/contribution\/signed/));
    assert.throws(() => Contribution.peek(statement), invalid(/Expected a/));
  });

  it("of a kind of work that a newer Pathweave knows are not known, which is no fault", async () => {
    const statement = { ...envelope.statement, work: "score" };
    await assert.rejects(open({ statement }), { name: "UnknownFormatError", message: /work/ });
    assert.throws(() => Contribution.peek(dagCbor.encode({ ...envelope, statement })), UnknownFormatError);
  });

  it("of one kind cannot be passed off as another", async () => {
    const schema = z.strictObject({ text: z.string() });
    const [first, second] = [defineSigned("test/one", 1, schema), defineSigned("test/two", 1, schema)];
    const one = dagCbor.decode<Envelope>((await first.seal({ text: "yes" }, key)).bytes);
    const two = dagCbor.decode<Envelope>((await second.seal({ text: "yes" }, key)).bytes);
    const mixed = dagCbor.encode({ ...two, signature: one.signature });
    await assert.rejects(second.open(mixed), invalid(/signature does not match/));
  });

  it("with impossible numbers are not sealed", async () => {
    for (const loss of [Number.NaN, Number.POSITIVE_INFINITY])
      await assert.rejects(Contribution.seal({ ...contribution, loss }, key), invalid(/loss/));
  });
});
