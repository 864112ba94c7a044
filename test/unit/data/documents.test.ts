import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, renameSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { readDocuments } from "../../../src/data/documents.ts";
import { MAX_CHARACTERS } from "../../../src/data/split-text.ts";
import { placeOf } from "../../../src/data/skipped.ts";
import { CorpusError } from "../../../src/errors.ts";
import { readAll, temporaryFolder } from "./corpus.ts";

const GOLDEN = path.join(import.meta.dirname, "../../golden/data");
const lines = (...values: unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");

const isCorpusError = (text: string) => (error: Error) =>
  error instanceof CorpusError && error.message.includes(text);

describe("reading a corpus", () => {
  it("reads a folder recursively, sorted, without dot files", async (t) => {
    const folder = temporaryFolder(t, {
      "b.md": "# Beta",
      "a/z.ts": "const z = 1;",
      "a/B.txt": "capital",
      "a/a.txt": "small",
      ".hidden": "no",
      ".git/config": "no",
    });
    const { documents, skipped } = await readAll([folder]);
    assert.deepEqual(
      documents.map(({ source, text }) => [source, text]),
      [
        ["a/B.txt", "capital"],
        ["a/a.txt", "small"],
        ["a/z.ts", "const z = 1;"],
        ["b.md", "# Beta"],
      ],
    );
    assert.deepEqual(skipped, []);
    assert.equal(new Set(documents.map(({ id }) => id)).size, 4);
  });

  it("gives the same ids wherever the corpus lies and however it is named", async (t) => {
    const folder = temporaryFolder(t, {
      "corpus/x/one.txt": "one",
      "corpus/x/two.txt": "two",
      "corpus/y/three.md": "3",
    });
    const corpus = path.join(folder, "corpus");
    const first = await readAll([corpus]);
    assert.deepEqual(await readAll([path.join(corpus, "**/*")]), first);
    assert.deepEqual(
      await readAll([path.join(corpus, "y/*.md"), path.join(corpus, "x"), path.join(corpus, "x/*.txt")]),
      first,
    );
    renameSync(corpus, path.join(folder, "elsewhere"));
    assert.deepEqual(await readAll([path.join(folder, "elsewhere")]), first);
  });

  it("takes a file whose name looks like a glob", async (t) => {
    const folder = temporaryFolder(t, { "[a](b)*.txt": "odd name" });
    const { documents } = await readAll([path.join(folder, "[a](b)*.txt")]);
    assert.deepEqual(
      documents.map(({ text }) => text),
      ["odd name"],
    );
  });

  it("names the missing path and the nearest one that exists", async (t) => {
    const folder = temporaryFolder(t, { "corpus/novel.txt": "text" });
    const read = (pattern: string) => readAll([path.join(folder, pattern)]);
    await assert.rejects(
      read("corpus/novle.txt"),
      isCorpusError(`did you mean ${path.join(folder, "corpus/novel.txt")}?`),
    );
    await assert.rejects(
      read("corpsu/novel.txt"),
      isCorpusError(`did you mean ${path.join(folder, "corpus")}?`),
    );
    await assert.rejects(
      read("corpus/x/y/z"),
      isCorpusError(`nearest folder that exists is ${path.join(folder, "corpus")}.`),
    );
    await assert.rejects(
      read("nothing-like-it/*.txt"),
      isCorpusError(`the nearest folder that exists is ${folder}.`),
    );
    await assert.rejects(read("corpus/*.jsonl"), isCorpusError("names no file"));
    await assert.rejects(readAll([]), isCorpusError("The corpus is empty"));
  });

  it("reports and skips empty, binary, unreadable and strange files", async (t) => {
    const folder = temporaryFolder(t, {
      "good.txt": "good",
      "empty.txt": "",
      "blank.txt": " \n\t\n",
      "nul.bin": Buffer.from("text\0more"),
      "latin1.txt": Buffer.from("caf\u00e9", "latin1"),
      "cut.txt": Buffer.from("é").subarray(0, 1),
      "broken.gz": gzipSync("some text").subarray(0, 15),
      "fake.parquet": "PAR1 this is not a Parquet file PAR1",
      "late.txt": Buffer.concat([Buffer.from("word ".repeat(500_000)), Buffer.from([0])]),
    });
    symlinkSync(path.join(folder, "gone"), path.join(folder, "dangling.txt"));
    symlinkSync(folder, path.join(folder, "loop"));
    execFileSync("mkfifo", [path.join(folder, "pipe")]);
    const { documents, skipped } = await readAll([folder]);
    const reasons = new Map(skipped.map((each) => [placeOf(each), each.reason]));
    assert.deepEqual(
      documents.filter(({ source }) => !source.startsWith("late.txt")).map(({ text }) => text),
      ["some", "good"],
    );
    assert.equal(reasons.get("empty.txt"), "it is empty");
    assert.equal(reasons.get("blank.txt"), "it is empty");
    assert.match(reasons.get("nul.bin")!, /binary/);
    assert.match(reasons.get("latin1.txt")!, /not UTF-8/);
    assert.match(reasons.get("cut.txt")!, /not UTF-8/);
    assert.match(reasons.get("broken.gz#1")!, /cut off after 15 B/);
    assert.match(reasons.get("dangling.txt")!, /ENOENT/);
    assert.match(reasons.get("pipe")!, /not a regular file/);
    assert.match(reasons.get("loop")!, /link to a folder, which is not followed; name that folder/);
    assert.ok(reasons.has("fake.parquet"));
    // A text that turns binary later is used up to there.
    const late = [...reasons.keys()].find((source) => source.startsWith("late.txt#"))!;
    assert.match(reasons.get(late)!, /from here on it is binary/);
    assert.equal(skipped.length, 11);
    const matched = await readAll([path.join(folder, "lo*")]);
    assert.deepEqual(matched, {
      documents: [],
      skipped: skipped.filter(({ file }) => file === "loop"),
    });
  });

  it("reads JSON lines, plain and packed, and skips bad records only", async (t) => {
    const content =
      lines({ text: "first" }, "second", { text: 3, content: "third" }, {}, { text: "" }) +
      "{broken\n\n" +
      lines({ text: "\ud800 last" }).trimEnd();
    const folder = temporaryFolder(t, {
      "a.jsonl": content,
      "b.jsonl.gz": gzipSync(content),
      "c.ndjson.zst": zstdCompressSync(content),
    });
    const { documents, skipped } = await readAll([folder]);
    assert.deepEqual(
      documents.map(({ source, origin, text }) => (assert.equal(origin, source), [source, text])),
      ["a.jsonl", "b.jsonl.gz", "c.ndjson.zst"].flatMap((file) => [
        [`${file}#1`, "first"],
        [`${file}#2`, "second"],
        [`${file}#3`, "third"],
        [`${file}#8`, "\ufffd last"],
      ]),
    );
    assert.deepEqual(skipped.slice(0, 3).map(placeOf), ["a.jsonl#4", "a.jsonl#5", "a.jsonl#6"]);
    assert.equal(skipped.length, 9);
    const named = await readAll([path.join(folder, "a.jsonl")], { textFields: ["content"] });
    assert.deepEqual(
      named.documents.map(({ text }) => text),
      ["second", "third"],
    );
  });

  it("reads JSON lines that are longer than a read and skips one that is too long", async (t) => {
    const long = "a".repeat(3 << 20);
    const folder = temporaryFolder(t, {
      "a.jsonl": lines({ text: long }, { text: "b".repeat(65 << 20) }, { text: "end" }),
    });
    const { documents, skipped } = await readAll([folder]);
    const lengthOf = (origin: string): number =>
      documents.filter((each) => each.origin === origin).reduce((sum, { text }) => sum + text.length, 0);
    assert.equal(lengthOf("a.jsonl#1"), 3 << 20);
    assert.equal(lengthOf("a.jsonl#3"), 3);
    assert.ok(
      documents.every(({ text }) => text.length <= MAX_CHARACTERS),
      "long records are cut, too",
    );
    assert.match(skipped[0]!.reason, /longer than 64 MiB/);
  });

  // Written by parquet-rs with three row groups; columns `id` and `content`, row 7 null, row 11 blank.
  for (const codec of ["snappy", "gzip", "zstd"])
    it(`reads Parquet packed with ${codec}`, async (t) => {
      const folder = temporaryFolder(t);
      cpSync(path.join(GOLDEN, `${codec}.parquet`), path.join(folder, "data.parquet"));
      const { documents, skipped } = await readAll([folder]);
      assert.equal(documents.length, 23);
      assert.deepEqual(documents[0], {
        ...documents[0],
        source: "data.parquet#0",
        text: "Document 0: whales – 鯨 🐋.\n",
      });
      assert.equal(documents.at(-1)!.source, "data.parquet#24");
      assert.deepEqual(skipped, [
        { file: "data.parquet", record: "7", reason: "the column content holds no text" },
        { file: "data.parquet", record: "11", reason: "it is empty" },
      ]);
      const other = await readAll([folder], { textFields: ["review"] });
      assert.match(other.skipped[0]!.reason, /no column is named review; it has id, content/);
    });

  it("cuts a long file into documents that join to the file, whatever the bytes of a read", async (t) => {
    const text = Array.from(
      { length: 40_000 },
      (_, i) => `Zeile ${i} über Wale 🐋.\n${i % 9 === 0 ? "\n" : ""}`,
    ).join("");
    const folder = temporaryFolder(t, { "book.txt": `\ufeff${text}`, "packed.txt.gz": gzipSync(text) });
    const { documents, skipped } = await readAll([folder]);
    assert.deepEqual(skipped, []);
    assert.deepEqual(new Set(documents.map(({ origin }) => origin)), new Set(["book.txt", "packed.txt.gz"]));
    for (const file of ["book.txt#", "packed.txt.gz#"]) {
      const parts = documents.filter(({ source }) => source.startsWith(file));
      assert.equal(parts.map((part) => part.text).join(""), text);
      assert.deepEqual(
        parts.map(({ source }) => source),
        parts.map((_, i) => `${file}${i}`),
      );
      assert.ok(parts.length > 100);
    }
  });

  it("streams: the first documents come without reading the rest, and leaving early frees the file", async (t) => {
    const folder = temporaryFolder(t, { "a.jsonl": lines({ text: "one" }, { text: "two" }) });
    for await (const document of readDocuments([folder], { onSkip: ({ reason }) => assert.fail(reason) })) {
      assert.equal(document.text, "one");
      break;
    }
  });
});
