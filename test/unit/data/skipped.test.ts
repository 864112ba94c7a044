import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { openSkippedFile } from "../../../node/skipped.ts";
import { readDocuments } from "../../../src/data/documents.ts";
import { describeSkipped, requireAll, requireSome, SkippedLog } from "../../../src/data/skipped.ts";
import { CorpusError } from "../../../src/errors.ts";
import { temporaryFolder } from "./corpus.ts";

describe("what was skipped", () => {
  it("is told by reason, the most frequent first, with counts", () => {
    const log = new SkippedLog();
    assert.deepEqual(describeSkipped(log), []);
    for (let line = 1; line <= 1234; line++)
      log.add({ file: "a.jsonl", record: String(line), reason: "it is not valid JSON" });
    log.add({ file: "b.pdf", reason: "it is a PDF" });
    assert.deepEqual(describeSkipped(log), [
      "skipped 1,235 files and records:",
      "  1,234  it is not valid JSON (the first: a.jsonl#1)",
      "      1  b.pdf: it is a PDF",
    ]);
  });

  it("stays in bounds when every record has a reason of its own", () => {
    const log = new SkippedLog();
    for (let i = 0; i < 150_000; i++) log.add({ file: "a", record: String(i), reason: `it has field ${i}` });
    assert.equal(log.total, 150_000);
    assert.equal(log.entries.length, 100_000);
    assert.ok(log.reasons.length <= 1001);
    assert.equal(
      log.reasons.reduce((sum, { count }) => sum + count, 0),
      150_000,
    );
    assert.ok(describeSkipped(log).length < 15);
  });

  it("is written to a file in full, which is not made for nothing", (t) => {
    const folder = temporaryFolder(t);
    const none = openSkippedFile(folder);
    none[Symbol.dispose]();
    assert.throws(() => readFileSync(none.path), /ENOENT/);
    const list = openSkippedFile(folder);
    const log = new SkippedLog((each) => list.add(each));
    for (let i = 0; i < 5000; i++) log.add({ file: "a", record: String(i), reason: "it is empty" });
    list[Symbol.dispose]();
    const lines = readFileSync(list.path, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      log.entries,
    );
  });

  it("explains a corpus of which nothing can be read, and one that must be read in full", async (t) => {
    const folder = temporaryFolder(t, { "a.pdf": "%PDF-1.4", "b.txt": "", "c.txt": "\u200b" });
    const drain = async (log: SkippedLog, pattern: string): Promise<void> => {
      const documents = readDocuments([path.join(folder, pattern)], { onSkip: (each) => log.add(each) });
      for await (const document of requireSome(documents, log)) void document;
    };
    const log = new SkippedLog();
    await assert.rejects(drain(log, "*"), (error: Error) => {
      assert.ok(error instanceof CorpusError);
      assert.match(error.message, /^Nothing of the corpus can be read/);
      assert.match(error.message, /2 {2}it is empty \(the first: b\.txt\)/);
      assert.match(error.message, /1 {2}a\.pdf: it is a PDF/);
      return true;
    });
    assert.throws(() => requireAll(log), /--strict.*\n.*it is empty/s);
    requireAll(new SkippedLog());
  });
});
