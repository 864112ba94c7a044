/** Packed files and archives: all of them is read, and what is wrong with them is said. */
import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";
import { crc32, deflateRawSync, gzipSync, zstdCompressSync } from "node:zlib";
import { placeOf } from "../../../src/data/skipped.ts";
import { readAll, temporaryFolder } from "./corpus.ts";

/** Records [from, to) as JSON lines. */
const records = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `${JSON.stringify({ text: `record ${from + i}` })}\n`).join("");

/** Packed by bzip2: the texts one and two, and the text three. */
const BZIP2 = [
  "QlpoOTFBWSZTWdvtaeYAAA5ZgAAQUAAAEAIBhMogADEDQNASpo9TTJ6MRQmRdUXIvpkaUjOGC7kinChIbfa08wA=",
  "QlpoOTFBWSZTWXAtJV0AAAhZgAAQUAAAEAJAFEogACIBoZCAaaaFfIbsEMUGCnxdyRThQkHAtJV0",
].map((text) => Buffer.from(text, "base64"));
/** 80 MiB of the letter a. */
const BZIP2_BOMB = Buffer.from(
  "QlpoOTFBWSZTWcJtKvMBX44BAKAAAAggADCATUZCoCWpCoCXMUFZJlNZL1URrQEi9kEAoAAgAAAIIAAwzAUppxhKpCNgSqQjxdyRThQkKuPREoA=",
  "base64",
);

const SKIPPABLE = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

async function readFile(t: Parameters<typeof temporaryFolder>[0], name: string, bytes: Uint8Array) {
  const { documents, skipped } = await readAll([temporaryFolder(t, { [name]: bytes })]);
  return {
    texts: documents.map(({ text }) => text),
    skipped: skipped.map((each) => [placeOf(each), each.reason]),
  };
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `record ${i}`);

for (const [ending, pack] of [
  ["gz", gzipSync],
  ["zst", zstdCompressSync],
] as const)
  describe(`reading .${ending}`, () => {
    const three = [0, 1000, 2000].map((from) => pack(records(from, from + 1000)));

    it("reads all members or frames", async (t) => {
      const read = await readFile(t, `a.jsonl.${ending}`, Buffer.concat(three));
      assert.deepEqual(read, { texts: numbered(3000), skipped: [] });
    });

    it("knows the format without its ending, and reads text under it as text", async (t) => {
      assert.deepEqual((await readFile(t, "a.jsonl", three[0]!)).texts, numbered(1000));
      assert.deepEqual(
        (await readFile(t, `a.jsonl.${ending}`, Buffer.from(records(0, 3)))).texts,
        numbered(3),
      );
    });

    it("keeps what is before foreign bytes, and reports them", async (t) => {
      const read = await readFile(t, `a.jsonl.${ending}`, Buffer.concat([three[0]!, Buffer.from("hello")]));
      assert.deepEqual(read.texts, numbered(1000));
      assert.equal(read.skipped.length, 1);
      assert.match(read.skipped[0]![1]!, /^5 bytes after its last .* were left out$/);
    });

    it("keeps what is before a cut, and says where the file is cut off", async (t) => {
      const cut = Buffer.concat([three[0]!, three[1]!]).subarray(0, -9);
      const { texts, skipped } = await readFile(t, `a.jsonl.${ending}`, cut);
      assert.ok(texts.length >= 1000, `${texts.length} documents`);
      assert.deepEqual(texts, numbered(texts.length));
      assert.match(skipped.at(-1)![1]!, /^the file is cut off after [\d.]+ KiB$/);
      const nothing = await readFile(t, `b.txt.${ending}`, pack("some text").subarray(0, 6));
      assert.deepEqual(nothing, {
        texts: [],
        skipped: [[`b.txt.${ending}`, "the file is cut off after 6 B"]],
      });
    });

    it("stops at a decompression bomb", async (t) => {
      const bomb = pack(Buffer.alloc(80 << 20, "a"));
      const { skipped } = await readFile(t, `a.jsonl.${ending}`, bomb);
      assert.match(skipped.at(-1)![1]!, /decompression bomb/);
    });

    it("refuses what is packed again and again", async (t) => {
      const { texts, skipped } = await readFile(t, "a.txt", pack(pack(pack("text"))));
      assert.deepEqual(texts, []);
      assert.match(skipped[0]![1]!, /packed more than 2 times/);
      assert.deepEqual((await readFile(t, "b.txt", pack(pack("text")))).texts, ["text"]);
    });
  });

describe("reading .zst", () => {
  it("passes over skippable frames, also at the start", async (t) => {
    const frames = [SKIPPABLE, zstdCompressSync(records(0, 2)), SKIPPABLE, zstdCompressSync(records(2, 4))];
    const read = await readFile(t, "a.jsonl.zst", Buffer.concat(frames));
    assert.deepEqual(read, { texts: numbered(4), skipped: [] });
  });
});

describe("reading .gz", () => {
  it("passes over zeros at the end, and reports a wrong checksum", async (t) => {
    const packed = gzipSync(records(0, 3));
    const padded = await readFile(t, "a.jsonl.gz", Buffer.concat([packed, Buffer.alloc(512)]));
    assert.deepEqual(padded, { texts: numbered(3), skipped: [] });
    const damaged = Buffer.from(packed);
    damaged[damaged.length - 6]! ^= 1;
    const { skipped } = await readFile(t, "a.jsonl.gz", damaged);
    assert.match(skipped[0]![1]!, /checksum is wrong/);
  });
});

describe("reading short texts that are cut off or damaged", () => {
  // Letters in no order, so that even a little of them takes many bytes.
  const text = Array.from({ length: 6000 }, (_, i) => ((i * 7919) % 6007).toString(36)).join(" ");
  for (const [ending, pack] of [
    ["gz", gzipSync],
    ["zst", zstdCompressSync],
  ] as const)
    it(`reads what is before the cut of a .${ending} file`, async (t) => {
      const whole = Buffer.concat([pack(text), pack(text)]);
      const { texts, skipped } = await readFile(t, `a.txt.${ending}`, whole.subarray(0, -9));
      assert.ok(texts.join("").startsWith(text), `${texts.join("").length}`);
      assert.equal(skipped.length, 1);
      assert.match(skipped[0]![1]!, /^from here on the file is cut off after/);
    });

  it("reads what is before the damage of a .bz2 file", async (t) => {
    const { texts, skipped } = await readFile(t, "a.py.bz2", Buffer.concat(BZIP2).subarray(0, -20));
    assert.deepEqual(texts, ['{"text": "one"}\n{"text": "two"}\n']);
    assert.match(skipped[0]![1]!, /^from here on the file is cut off/);
  });

  it("uses nothing of a short file that turns out to be no text", async (t) => {
    const { texts, skipped } = await readFile(t, "a.txt.gz", gzipSync(Buffer.from("text\xff", "latin1")));
    assert.deepEqual(texts, []);
    assert.match(skipped[0]![1]!, /^it is not UTF-8/);
  });
});

describe("reading .bz2", () => {
  it("reads all streams, without its ending, too", async (t) => {
    const read = await readFile(t, "a.jsonl", Buffer.concat(BZIP2));
    assert.deepEqual(read, { texts: ["one", "two", "three"], skipped: [] });
  });

  it("reports foreign bytes, a cut and damage", async (t) => {
    const after = await readFile(t, "a.jsonl.bz2", Buffer.concat([...BZIP2, Buffer.from("hello")]));
    assert.deepEqual(after.texts, ["one", "two", "three"]);
    assert.match(after.skipped[0]![1]!, /after its last bzip2 stream/);
    const cut = await readFile(t, "a.jsonl.bz2", Buffer.concat(BZIP2).subarray(0, -20));
    assert.deepEqual(cut.texts, ["one", "two"]);
    assert.match(cut.skipped[0]![1]!, /cut off after/);
    const bytes = Buffer.concat(BZIP2);
    bytes[30]! ^= 4;
    const damaged = await readFile(t, "a.jsonl.bz2", bytes);
    assert.match(damaged.skipped[0]![1]!, /damaged/);
  });

  it("stops at a decompression bomb", async (t) => {
    const { skipped } = await readFile(t, "a.jsonl.bz2", BZIP2_BOMB);
    assert.match(skipped.at(-1)![1]!, /decompression bomb/);
  });
});

/** A .zip of these members. */
function zip(members: [string, Uint8Array | string][]): Buffer {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of members) {
    const bytes = Buffer.from(content as Uint8Array);
    const packed = deflateRawSync(bytes);
    const label = Buffer.from(name);
    // Shared by both headers: version, UTF-8 names, deflate, time, checksum, sizes, length of the name.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.byteLength, 14);
    common.writeUInt32LE(bytes.byteLength, 18);
    common.writeUInt16LE(label.byteLength, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    local.push(Buffer.from("PK\x03\x04"), common, label, packed);
    central.push(Buffer.from("PK\x01\x02\x14\0"), common, place, label);
    offset += 30 + label.byteLength + packed.byteLength;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(directory.byteLength, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...local, directory, Buffer.from("PK\x05\x06"), end]);
}

describe("reading .zip", () => {
  it("reads members as files of their own, whatever their names", async (t) => {
    const folder = temporaryFolder(t, {
      "books.zip": zip([
        ["one.txt", "first"],
        ["folder/", ""],
        ["folder/two.jsonl", records(0, 2)],
        ["../../evil.md", "---\na: b\n---\nthird"],
        ["data.csv.gz", gzipSync("text\nfourth\n")],
        [".hidden", "no"],
        ["__MACOSX/one.txt", "no"],
        ["paper.pdf", "%PDF-1.4"],
        ["empty.txt", ""],
        ["inner.zip", zip([["a.txt", "no"]])],
      ]),
    });
    const { documents, skipped } = await readAll([folder]);
    assert.deepEqual(
      documents.map(({ source, origin, text }) => [source, origin, text]),
      [
        ["books.zip/one.txt", "books.zip/one.txt", "first"],
        ["books.zip/folder/two.jsonl#1", "books.zip/folder/two.jsonl#1", "record 0"],
        ["books.zip/folder/two.jsonl#2", "books.zip/folder/two.jsonl#2", "record 1"],
        ["books.zip/../../evil.md", "books.zip/../../evil.md", "third"],
        ["books.zip/data.csv.gz#1", "books.zip/data.csv.gz#1", "fourth"],
      ],
    );
    assert.deepEqual(
      skipped.map(({ file, reason }) => [file, reason.replace(/[,;].*/, "")]),
      [
        ["books.zip/paper.pdf", "it is a PDF"],
        ["books.zip/empty.txt", "it is empty"],
        ["books.zip/inner.zip", "it is a zip inside another file"],
      ],
    );
  });

  it("reports a cut archive, a wrong checksum and a bomb of many members", async (t) => {
    const good = zip([["a.txt", "text ".repeat(100)]]);
    const cut = await readFile(t, "a.zip", good.subarray(0, -30));
    assert.deepEqual(cut.texts, []);
    assert.deepEqual(cut.skipped, [
      ["a.zip", "it is no whole zip file: it is cut off, or was fetched in part; fetch the archive again"],
    ]);
    const wrong = Buffer.from(good);
    // The checksum in the directory, 16 bytes into its entry.
    wrong[wrong.indexOf("PK\x01\x02") + 16]! ^= 1;
    assert.match(
      (await readFile(t, "a.zip", wrong)).skipped[0]![1]!,
      /checksum is wrong\); fetch the archive again/,
    );
    const short = Buffer.from(good);
    // The size in the directory, 24 bytes into its entry.
    short.writeUInt32LE(501, short.indexOf("PK\x01\x02") + 24);
    assert.match(
      (await readFile(t, "b.zip", short)).skipped[0]![1]!,
      /it is damaged \(.*\); fetch the archive again/,
    );
    const piece = Buffer.alloc(12 << 20, "a");
    const bomb = zip(Array.from({ length: 8 }, (_, i): [string, Buffer] => [`${i}.jsonl`, piece]));
    const { skipped } = await readFile(t, "a.zip", bomb);
    assert.match(skipped.at(-1)![1]!, /decompression bomb/);
  });

  it("names a zip that was unpacked on the way", async (t) => {
    const { skipped } = await readFile(t, "a.zip.gz", gzipSync(zip([["a.txt", "text"]])));
    assert.match(skipped[0]![1]!, /zip inside another file; unpack that first/);
    assert.equal(path.extname(skipped[0]![0]!), ".gz");
  });
});
