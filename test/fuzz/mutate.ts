/** Hostile bytes made of valid ones. Pure: the same source of randomness gives the same bytes. */
import type { Random } from "../../src/random.ts";
import { cborHead, type CborItem, cborItems } from "./cbor-items.ts";

/** Changes `bytes` once; `other` is another valid input, for splices. */
export type Mutation = (bytes: Uint8Array, other: Uint8Array, random: Random) => Uint8Array;

/** Inputs of every target are cut here; the largest that any decoder accepts is a block of 1 MiB. */
const MAX_BYTES = 1 << 17;
const DEEP = [2, 10, 200, 5000];
const SIZES = [0n, 1n, 23n, 24n, 255n, 65_536n, 1n << 20n, 1n << 31n, 1n << 32n, 1n << 53n, (1n << 64n) - 1n];
const CID_HEAD = Uint8Array.of(0xd8, 0x2a, 0x58, 0x25, 0x00, 0x01);

/** Values on the edge of what a schema takes, as CBOR. */
const LEAVES: readonly Uint8Array[] = [
  ...SIZES.flatMap((size) => [cborHead(0, size), cborHead(1, size)]),
  ...`f4 f5 f6 f7 f90000 f97e00 fb7ff8000000000000 fb7ff0000000000000 fbfff0000000000000 fb8000000000000000
    fb0000000000000001 fb7fefffffffffffff fbbff0000000000000 80 a0 40 60 c11a514b67b0 c24101 d82a40 d82a4100
    d82a450001550000 d82a4700015512018007 7f6161ff 9f01ff bf616101ff ff 1c fc`
    .split(/\s+/)
    .map((leaf) => Buffer.from(leaf, "hex")),
];
const TEXTS = [
  "__proto__",
  "constructor",
  "toString",
  "kind",
  "format",
  "",
  "\u0000",
  "lower/0",
  "💥",
  "a".repeat(300),
];

const pick = <T>(items: readonly T[], random: Random): T => items[random.integer(items.length)]!;
const text = (value: string): Uint8Array =>
  Buffer.concat([cborHead(3, BigInt(Buffer.byteLength(value))), Buffer.from(value)]);
const replace = (bytes: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array =>
  Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);

/** Flipped bits, cut, inserted, repeated and spliced pieces, lies in binary lengths. Knows no format. */
export const mutateBytes: Mutation = (bytes, other, random) => {
  const at = random.integer(bytes.byteLength + 1);
  const to = Math.min(bytes.byteLength, at + 1 + random.integer(pick([1, 4, 64, 4096], random)));
  const copy = Buffer.from(bytes);
  switch (random.integer(9)) {
    case 0:
      if (copy.byteLength > 0) copy[random.integer(copy.byteLength)]! ^= 1 << random.integer(8);
      return copy;
    case 1:
      return copy.subarray(0, at);
    case 2:
      return replace(copy, at, to, new Uint8Array());
    case 3:
      return replace(copy, at, at, copy.subarray(at, to));
    case 4:
      return replace(copy, at, to, Buffer.from(Array.from({ length: to - at }, () => random.integer(256))));
    case 5:
      return replace(copy, at, copy.byteLength, other.subarray(random.integer(other.byteLength + 1)));
    case 6: {
      const from = random.integer(other.byteLength + 1);
      return replace(copy, at, to, other.subarray(from, from + (to - at)));
    }
    case 7: {
      // A number where a length, an offset or a count may be.
      const number = Buffer.alloc(8);
      number[random.integer(2) === 0 ? "writeBigUInt64LE" : "writeBigUInt64BE"](pick(SIZES, random));
      return replace(copy, at, Math.min(copy.byteLength, at + 4), number.subarray(0, 4));
    }
    default:
      return replace(
        copy,
        at,
        at,
        Buffer.alloc(1 + random.integer(64), pick([0x00, 0xff, 0x5b, 0x81], random)),
      );
  }
};

/** Changes an item of a CBOR text: another type, a false length, a repeated key, deep nesting, a value on the edge. */
export const mutateCbor: Mutation = (bytes, other, random) => {
  const items = cborItems(bytes);
  if (items.length === 0) return mutateBytes(bytes, other, random);
  const item = pick(items, random);
  const { at, content, end, major } = item;
  const whole = bytes.subarray(at, end);
  switch (random.integer(10)) {
    case 0:
      return replace(bytes, at, end, pick(LEAVES, random));
    case 1:
      return replace(bytes, at, end, text(pick(TEXTS, random)));
    case 2: {
      const strange = cborItems(other);
      const { at: from, end: to } = strange.length === 0 ? { at: 0, end: 0 } : pick(strange, random);
      return replace(bytes, at, end, other.subarray(from, to));
    }
    case 3:
      return replace(
        bytes,
        at,
        content,
        cborHead(major, pick(SIZES, random), pick([undefined, 1, 2, 4, 8], random)),
      );
    case 4:
      return replace(
        bytes,
        at,
        content,
        cborHead(random.integer(8), BigInt(whole.byteLength), pick([0, 1, 8], random)),
      );
    case 5:
      return resize(bytes, items, random);
    case 6: {
      const depth = pick(DEEP, random);
      const head = Buffer.from(pick(["81", "a16161", "d82a", "c1"], random), "hex");
      return replace(bytes, at, at, Buffer.concat(Array.from({ length: depth }, () => head)));
    }
    case 7: {
      // A CID with another codec, hash or version.
      const cid = items.find((found) => found.major === 6);
      if (cid === undefined) return replace(bytes, at, end, CID_HEAD);
      const byte = cid.at + 5 + random.integer(4);
      return replace(
        bytes,
        byte,
        byte + 1,
        Uint8Array.of(pick([0, 1, 0x12, 0x55, 0x70, 0x71, 0xff], random)),
      );
    }
    case 8:
      // An object within an object, as signed envelopes and lineage records have it.
      if (major !== 2 || cborItems(bytes.subarray(content, end)).length < 2)
        return replace(bytes, at, end, pick(LEAVES, random));
      return replace(bytes, at, end, wrap(mutateCbor(bytes.subarray(content, end), other, random)));
    default:
      return mutateBytes(bytes, other, random);
  }
};

/** Repeats or drops children of an array or map, with the right count or without. */
function resize(bytes: Uint8Array, items: CborItem[], random: Random): Uint8Array {
  const parents = items.filter((found) => found.major === 4 || found.major === 5);
  if (parents.length === 0) return bytes;
  const parent = pick(parents, random);
  const children = items.filter(
    (found) => found.depth === parent.depth + 1 && found.at >= parent.content && found.end <= parent.end,
  );
  const step = parent.major === 5 ? 2 : 1;
  const entries: Uint8Array[] = [];
  for (let child = 0; child + step <= children.length; child += step)
    entries.push(bytes.subarray(children[child]!.at, children[child + step - 1]!.end));
  if (entries.length === 0) return bytes;
  const entry = random.integer(entries.length);
  const honest = random.integer(4) > 0;
  if (random.integer(2) === 0) entries.splice(entry, 1);
  else
    entries.splice(
      entry,
      0,
      ...Array.from({ length: pick([1, 1, 2, 70, 1100], random) }, () => entries[entry]!),
    );
  const count = honest ? entries.length : Math.floor(children.length / step);
  return replace(
    bytes,
    parent.at,
    parent.end,
    Buffer.concat([cborHead(parent.major, BigInt(count)), ...entries]),
  );
}

function wrap(content: Uint8Array): Uint8Array {
  return Buffer.concat([cborHead(2, BigInt(content.byteLength)), content]);
}

const WORDS =
  `{ } [ ] , : & * ! | > - # ' " \\ % @ \` ~ ? . null true [] {} "" -1 0 1e999 1e308 -0 0x10 .nan .inf 9007199254740993
  99999999999999999999 __proto__ constructor << *a !!binary !!js/function --- ... "Regex" (a+)+$ (?:a|a)* \\p{L}`
    .split(/\s+/)
    .concat(
      "\n",
      "\t",
      "\ud800",
      "\u2028",
      "\u0000",
      "&a [*a, *a]",
      '{"type":"Split","pattern":{"Regex":"(a*)*b"}}',
    );
const TOKEN = /"(?:\\.|[^"\\\n]){0,400}"|-?\d[\d.eE+-]{0,30}|[A-Za-z_][\w-]{0,60}|[[\]{}:,]/g;

/** Changes a word, a line or a bracket of a text such as YAML or JSON. */
export const mutateText: Mutation = (bytes, other, random) => {
  const source = Buffer.from(bytes).toString();
  const tokens = [...source.matchAll(TOKEN)];
  if (tokens.length === 0 || random.integer(4) === 0) return mutateBytes(bytes, other, random);
  const token = pick(tokens, random);
  const from = token.index;
  const to = from + token[0].length;
  const put = (by: string): Uint8Array => Buffer.from(source.slice(0, from) + by + source.slice(to));
  switch (random.integer(6)) {
    case 0:
      return put(pick(WORDS, random));
    case 1: {
      const strange = [...Buffer.from(other).toString().matchAll(TOKEN)];
      return put(strange.length === 0 ? "" : pick(strange, random)[0]);
    }
    case 2:
      return put(pick(["[", '{"a":', "- ", "{a: "], random).repeat(pick(DEEP, random)) + token[0]);
    case 3:
      return put(token[0].repeat(pick([2, 10, 1000], random)));
    case 4: {
      const lines = source.split("\n");
      const line = random.integer(lines.length);
      lines.splice(random.integer(lines.length), random.integer(2), lines[line]!);
      return Buffer.from(lines.join("\n"));
    }
    default:
      return put(pick(WORDS, random) + token[0]);
  }
};

/** The hostile input made of a corpus: one to about eight mutations of a valid one. */
export function mutated(corpus: readonly Uint8Array[], mutate: Mutation, random: Random): Uint8Array {
  let bytes = pick(corpus, random);
  do bytes = mutate(bytes, pick(corpus, random), random).subarray(0, MAX_BYTES);
  while (random.integer(3) === 0);
  // A copy at an odd offset would be as good; what decoders get from libp2p is a plain Uint8Array.
  return new Uint8Array(bytes);
}
