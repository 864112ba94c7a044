/** What `pathweave create` does with files that it cannot read: it says so in time, lists them, and stops if asked to. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { createRandom } from "../../src/random.ts";
import { temporaryFolder } from "../unit/data/corpus.ts";

const launcher = fileURLToPath(new URL("../../node/launch.js", import.meta.url));
const random = createRandom("skipping test");
const VOCABULARY = Array.from({ length: 300 }, () => random.integer(1 << 24).toString(36));
const text = (): string => Array.from({ length: 120 }, () => VOCABULARY[random.integer(300)]).join(" ");

interface Result {
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

function create(t: TestContext, files: Record<string, string | Uint8Array>, ...args: string[]) {
  const run = stringify({
    name: "skipping",
    corpus: "texts",
    grid: [1],
    model: { vocabulary: 400, sequenceLength: 64, width: 16, blocks: 1, heads: 1 },
    training: { rounds: 1, innerSteps: 2, batchSize: 4, seedSteps: 2, warmupSteps: 1 },
  });
  const folder = temporaryFolder(t, { ...files, "run.yaml": run });
  const command = [launcher, "create", "run.yaml", "--no-start", "--engine", "eager", ...args];
  return new Promise<Result & { folder: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      command,
      { cwd: folder, timeout: 540_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr, folder }),
    );
  });
}

const good = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`texts/${i}.txt`, text()]));
const bad = { "texts/a.pdf": "%PDF-1.4", "texts/b.jsonl": "{broken\n{broken\n", "texts/c.txt": "\u200b" };
const SKIPPED = [
  { file: "a.pdf", reason: "it is a PDF, which is not read; convert it with pdftotext" },
  { file: "b.jsonl", record: "1", reason: "it is not valid JSON" },
  { file: "b.jsonl", record: "2", reason: "it is not valid JSON" },
  { file: "c.txt", reason: "it is empty" },
];

describe("create with files that cannot be read", () => {
  it("counts them by reason before it trains, and lists them all in a file", async (t) => {
    const { code, stdout, folder } = await create(t, { ...good, ...bad });
    assert.equal(code, 0, stdout);
    assert.match(
      stdout,
      /skipped 4 files and records:\n {2}2 {2}it is not valid JSON \(the first: b\.jsonl#1\)\n/,
    );
    const list = path.join(".pathweave", "skipped.jsonl");
    assert.ok(stdout.includes(list), stdout);
    const [counted, trained, ended] = ["skipped 4", "warm start", "corpus: "].map((text) =>
      stdout.indexOf(text),
    );
    // Where nothing can be replaced, steps that follow each other fast are not all shown.
    assert.ok(counted! < ended! && (trained === -1 || counted! < trained!), stdout);
    const lines = readFileSync(path.join(folder, list), "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      SKIPPED,
    );
  });

  it("has them in --json", async (t) => {
    const { code, stdout } = await create(t, { ...good, ...bad }, "--json");
    assert.equal(code, 0, stdout);
    const result = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
    assert.deepEqual(result.skipped, SKIPPED);
    assert.equal(result.skippedCount, 4);
    assert.match(result.skippedFile, /skipped\.jsonl$/);
  });

  it("stops by --strict before it trains, and leaves no folder", async (t) => {
    const { code, stdout, stderr, folder } = await create(t, { ...good, ...bad }, "--strict");
    assert.equal(code, 1);
    assert.match(stderr, /--strict.*\n?.*it is not valid JSON/s);
    assert.doesNotMatch(stdout, /warm start/);
    assert.ok(!existsSync(path.join(folder, ".pathweave")));
    const clean = await create(t, good, "--strict");
    assert.equal(clean.code, 0, clean.stderr);
    assert.ok(!existsSync(path.join(clean.folder, ".pathweave", "skipped.jsonl")));
  });

  it("says why, when nothing can be read", async (t) => {
    const { code, stderr } = await create(t, bad);
    assert.equal(code, 1);
    assert.match(stderr, /Nothing of the corpus can be read.*skipped 4 files and records/s);
    assert.match(stderr, /1 {2}a\.pdf: it is a PDF, which is not read; convert it with pdftotext/);
  });
});
