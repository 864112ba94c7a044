import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { multiaddr } from "@multiformats/multiaddr";
import fc from "fast-check";
import { base32 } from "multiformats/bases/base32";
import { CID } from "multiformats/cid";
import * as Digest from "multiformats/hashes/digest";
import { rawBlock } from "../../../src/objects/object.ts";
import { decodeInvite, encodeInvite } from "../../../src/run/invite.ts";

const runOf = (seed: string): CID =>
  CID.createV1(0x71, Digest.create(0x12, createHash("sha256").update(seed).digest()));
const PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
const ADDRESSES = [
  `/ip4/203.0.113.7/tcp/4001/p2p/${PEER}`,
  `/ip6/2001:db8::1/tcp/4002/ws/p2p/${PEER}`,
  `/dns4/bootstrap.example.org/tcp/443/tls/ws/p2p/${PEER}`,
];
const INVITE = encodeInvite({ run: runOf("golden"), bootstrap: ADDRESSES });

/** An invite around any payload, with a right checksum. */
function forge(payload: unknown, bytes: Uint8Array = dagCbor.encode(payload)): string {
  const checksum = createHash("sha256").update("pathweave-invite").update(bytes).digest().subarray(0, 5);
  return `pathweave1${base32.baseEncode(Buffer.concat([bytes, checksum]))}`;
}

test("golden strings", () => {
  assert.equal(
    encodeInvite({ run: runOf("golden"), bootstrap: [] }),
    "pathweave1ujrxe5lo3avfqjiaafyreig5k3pecn4vdwoje2a3anaw5qk7rbvujavcpy5fc7js6ccsitf6lvuwe33porzxi4tbocac7lsilmpa",
  );
  assert.equal(
    encodeInvite({ run: runOf("golden"), bootstrap: ADDRESSES.slice(0, 1), swarmKey: Buffer.from("key") }),
    "pathweave1unrxe5lo3avfqjiaafyreig5k3pecn4vdwoje2a3anaw5qk7rbvujavcpy5fc7js6ccsitf6lvuhg53bojwuwzlzinvwk6ljmjxw65dtorzgc4eblayqjsyaoedqmd5buubsmabebaareibp7i22thj2ht53c65xyhofkynrrkg4zjg7hdogcpvilhbx5mjtnoyo5tbdue",
  );
});

test("an invite is one word that comes back as it was", () => {
  assert.match(INVITE, /^pathweave1[a-z2-7]+$/);
  const { run, bootstrap, swarmKey } = decodeInvite(INVITE);
  assert.ok(run.equals(runOf("golden")));
  assert.deepEqual(bootstrap, ADDRESSES);
  assert.equal(swarmKey, undefined);
});

test("every invite comes back as it was", () => {
  const address = fc
    .tuple(
      fc.ipV4(),
      fc.integer({ min: 1, max: 65_535 }),
      fc.constantFrom("", "/ws", "/ws/p2p/" + PEER, "/p2p/" + PEER),
    )
    .map(([ip, port, rest]) => `/ip4/${ip}/tcp/${port}${rest}`);
  const key = fc.option(fc.uint8Array({ minLength: 1, maxLength: 100 }), { nil: undefined });
  fc.assert(
    fc.property(fc.string(), fc.array(address, { maxLength: 32 }), key, (seed, bootstrap, swarmKey) => {
      const decoded = decodeInvite(
        encodeInvite({ run: runOf(seed), bootstrap, ...(swarmKey && { swarmKey }) }),
      );
      assert.ok(decoded.run.equals(runOf(seed)));
      assert.deepEqual(decoded.bootstrap, bootstrap);
      assert.deepEqual(decoded.swarmKey, swarmKey);
    }),
  );
});

test("white space that a terminal or mail put in does not count", () => {
  assert.deepEqual(decodeInvite(`  ${INVITE.slice(0, 60)}\r\n ${INVITE.slice(60)}\n`), decodeInvite(INVITE));
});

test("every truncation is detected and said", () => {
  for (let length = 10; length < INVITE.length; length++)
    assert.throws(() => decodeInvite(INVITE.slice(0, length)), {
      name: "InviteError",
      message: /^This invite is truncated or mistyped: /,
    });
});

test("every mistyped character, and every swap of two, is detected and said", () => {
  const mistyped = { name: "InviteError", message: /^This invite is truncated or mistyped: / };
  for (let at = 10; at < INVITE.length; at++) {
    for (const typo of ["a", "q", "2", "7", "1", "A", "-"])
      if (typo !== INVITE[at])
        assert.throws(() => decodeInvite(INVITE.slice(0, at) + typo + INVITE.slice(at + 1)), mistyped);
    const [one, two] = [INVITE[at]!, INVITE[at + 1] ?? INVITE[at]!];
    if (one !== two)
      assert.throws(() => decodeInvite(INVITE.slice(0, at) + two + one + INVITE.slice(at + 2)), mistyped);
  }
});

test("a later format says to update", () => {
  assert.throws(() => decodeInvite(INVITE.replace("pathweave1", "pathweave2")), {
    name: "InviteError",
    message: /format 2; this Pathweave reads format 1\. Update Pathweave/,
  });
});

test("something else is not called an invite, and is shown without control characters", () => {
  for (const text of [
    "",
    "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWwGKbr",
    "\u001B[2Jhello",
    "https://example.org",
  ])
    assert.throws(
      () => decodeInvite(text),
      (error: Error) =>
        error.name === "InviteError" &&
        /^Not an invite[:.] /.test(error.message) &&
        !/\p{Cc}/u.test(error.message),
    );
});

test("a long text that is no invite, perhaps the end of one with a key, is not shown", () => {
  const invite = encodeInvite({ run: runOf("private"), bootstrap: [], swarmKey: new Uint8Array(95).fill(7) });
  const tail = invite.slice(20);
  assert.throws(
    () => decodeInvite(tail),
    (error: Error) => error.name === "InviteError" && !error.message.includes(tail.slice(0, 8)),
  );
});

const bytesOf = (address: string): Uint8Array => multiaddr(address).bytes;
const run = runOf("golden");
const forged: [string, string, RegExp][] = [
  ["33 addresses", forge({ run, bootstrap: Array(33).fill(bytesOf(ADDRESSES[0]!)) }), /bootstrap .*32/],
  ["bytes that are no multiaddr", forge({ run, bootstrap: [Uint8Array.of(255, 255, 3)] }), /malformed/],
  ["a text in place of an address", forge({ run, bootstrap: ["/ip4/1.2.3.4"] }), /expected bytes/],
  ["an empty address", forge({ run, bootstrap: [new Uint8Array()] }), /expected 1 to 512 bytes/],
  ["a long address", forge({ run, bootstrap: [new Uint8Array(513)] }), /expected 1 to 512 bytes/],
  [
    "a run that is no manifest",
    forge({ run: rawBlock(Buffer.from("x")).cid, bootstrap: [] }),
    /CID of a manifest/,
  ],
  ["a run that is no CID", forge({ run: "bafy", bootstrap: [] }), /expected a CID/],
  [
    "a long swarm key",
    forge({ run, bootstrap: [], swarmKey: new Uint8Array(1025) }),
    /expected 1 to 1024 bytes/,
  ],
  ["an unknown key", forge({ run, bootstrap: [], extra: 1 }), /extra/],
  ["an array", forge([run]), /malformed/],
  ["bytes that are no dag-cbor", forge(null, Uint8Array.of(0x82, 1)), /malformed/],
];
for (const [name, text, message] of forged)
  test(`${name} is refused in an invite whose checksum is right`, () => {
    assert.throws(() => decodeInvite(text), { name: "InviteError", message });
  });

test("an oversized text is refused before it is decoded", () => {
  assert.throws(() => decodeInvite(INVITE + "a".repeat(40_000)), {
    name: "InviteError",
    message: /too long/,
  });
});

test("whatever the text, decoding succeeds or throws an InviteError", () => {
  const data = fc.string({ unit: fc.constantFrom(...Array.from("abcdefghijklmnopqrstuvwxyz234567")) });
  const payload = fc.uint8Array({ maxLength: 60 }).map((bytes) => forge(null, bytes));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        data.map((text) => `pathweave1${text}`),
        payload,
      ),
      (text) => {
        assert.throws(() => decodeInvite(text), { name: "InviteError" });
      },
    ),
  );
});

test("no invite is made of too many or malformed addresses", () => {
  assert.throws(() => encodeInvite({ run, bootstrap: Array(33).fill(ADDRESSES[0]) }), {
    name: "InviteError",
  });
  assert.throws(() => encodeInvite({ run, bootstrap: ["203.0.113.7:4001"] }), { name: "InviteError" });
});
