import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../data/corpus.ts";

const launcher = fileURLToPath(new URL("../../../node/launch.js", import.meta.url));

interface Result {
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

/** Runs the command as a user does, in a process of its own. */
function corpus(cwd: string, ...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [launcher, "corpus", ...args],
      { cwd, timeout: 540_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

const whale = "Call me Ishmael. Some years ago I went to sea. ".repeat(20);

describe("pathweave corpus", () => {
  it("says for programs what would be read of files", async (t) => {
    const folder = temporaryFolder(t, {
      "a.txt": `\n# ${whale}`,
      "copy.txt": `\n# ${whale}`,
      "b.jsonl": `${JSON.stringify({ text: "one" })}\n{broken\n`,
      "c.pdf": "%PDF-1.4",
    });
    const { code, stdout } = await corpus(folder, ".", "--json");
    assert.equal(code, 0);
    const found = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
    assert.equal(found.documents, 2);
    assert.equal(found.characters, whale.length + 3 + 3);
    assert.ok(found.tokens > 10 && found.tokens < found.characters);
    assert.equal(found.duplicates, 1);
    assert.deepEqual(found.skipped, [
      { file: "b.jsonl", record: "2", reason: "it is not valid JSON" },
      { file: "c.pdf", reason: "it is a PDF, which is not read; convert it with pdftotext" },
    ]);
    assert.equal(found.skippedCount, 2);
    assert.equal(found.first.length, 2);
    assert.match(found.first[0].start, /^# Call me Ishmael\..{40,60}…$/);
  });

  it("says for people the same of a run file, with its text field and encoding", async (t) => {
    const folder = temporaryFolder(t, {
      "texts/a.jsonl": `${JSON.stringify({ data: { review: "one" } })}\n`,
      "texts/b.txt": Buffer.from("caf\u00e9", "latin1"),
      "texts/c.txt": "three",
      "texts/d.txt": "four",
      "run.yaml":
        "name: t\ncorpus: texts\ngrid: [1]\ntextField: data.review\nencoding: latin1\nmodel: { vocabulary: 300 }\n",
    });
    const { code, stdout, stderr } = await corpus(folder, "run.yaml");
    assert.equal(stderr, "");
    assert.equal(code, 0);
    assert.match(stdout, /^documents {3}4$/m);
    assert.match(stdout, /^characters {2}16$/m);
    // No two letters occur together twice, so that there is a token for each byte, and one at each end.
    assert.match(stdout, /^tokens {6}21, by a tokenizer of 257 entries$/m);
    assert.match(stdout, /^duplicates {2}0 copies/m);
    assert.match(stdout, /a\.jsonl#1:\n {2}one\n\nb\.txt:\n {2}caf\u00e9\n\nc\.txt:\n {2}three\n/);
    assert.doesNotMatch(stdout, /four|skipped/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  });

  it("takes one text field at a time, before files, too", async (t) => {
    const folder = temporaryFolder(t, {
      "a.jsonl": `${JSON.stringify({ review: "one", text: "no" })}\n${JSON.stringify({ note: "two" })}\n`,
    });
    const { stdout, stderr } = await corpus(
      folder,
      "--text-field",
      "review",
      "--text-field",
      "note",
      "a.jsonl",
      "--json",
    );
    assert.equal(stderr, "");
    assert.deepEqual(
      JSON.parse(stdout).first.map(({ start }: { start: string }) => start),
      ["one", "two"],
    );
  });

  it("cuts first lines by the columns that they take, and between characters", async (t) => {
    const folder = temporaryFolder(t, { "a.txt": "鯨".repeat(100), "b.txt": "👨‍👩‍👧".repeat(100) });
    const { stdout } = await corpus(folder, ".", "--json");
    assert.deepEqual(
      JSON.parse(stdout).first.map(({ start }: { start: string }) => start),
      [`${"鯨".repeat(35)}…`, `${"👨‍👩‍👧".repeat(35)}…`],
    );
  });

  it("ends with an error where nothing can be read, and by --strict where not all can", async (t) => {
    const folder = temporaryFolder(t, { "a.pdf": "%PDF-1.4", "b.txt": "some text" });
    const nothing = await corpus(folder, "a.pdf");
    assert.equal(nothing.code, 1);
    assert.match(nothing.stdout, /a\.pdf: it is a PDF/);
    assert.match(nothing.stderr, /^pathweave: None of these files has text/);
    const all = await corpus(folder, ".", "--strict", "--json");
    assert.equal(all.code, 1);
    assert.match(all.stderr, /--strict/);
    assert.equal(JSON.parse(all.stdout).skippedCount, 1);
  });

  it("names what is wrong with its arguments", async (t) => {
    const folder = temporaryFolder(t, { "books/a.txt": "text" });
    const missing = await corpus(folder, path.join(folder, "boks"));
    assert.match(missing.stderr, /^pathweave: The corpus path .* does not exist; did you mean .*books\?\n$/);
    const brackets = await corpus(folder, "[old] books/*.txt");
    assert.match(brackets.stderr, /names no file\. Brackets .* write \[\[\]old\] books\/\*\.txt\./);
    const encoding = await corpus(folder, "books", "--encoding", "latin-99");
    assert.equal(encoding.code, 2);
    assert.match(encoding.stderr, /--encoding is "latin-99"; expected an encoding such as windows-1252/);
  });
});
