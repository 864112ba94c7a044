import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BYTES_PER_KIND, demoCorpus } from "../../../../node/demo/corpus.ts";
import { packageFolders } from "../../../../src/installation.ts";
import { readAll } from "../../data/corpus.ts";

const FOLDERS = packageFolders();

describe("the demo's corpus", () => {
  it("has four kinds of real text of comparable size", async () => {
    const corpus = demoCorpus(FOLDERS);
    assert.deepEqual(
      corpus.map(({ kind }) => kind),
      ["novel", "speeches", "types", "manuals"],
    );
    for (const { kind, patterns } of corpus) {
      const { documents, skipped } = await readAll(patterns);
      const bytes = documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
      assert.ok(bytes > 1_000_000 && bytes <= BYTES_PER_KIND, `${kind} has ${bytes} bytes`);
      assert.ok(documents.length > 200, `${kind} has ${documents.length} documents`);
      assert.deepEqual(skipped, []);
    }
    assert.equal(
      new Set(corpus.flatMap(({ patterns }) => patterns)).size,
      corpus.flatMap(({ patterns }) => patterns).length,
    );
  });

  it("is the same each time, and empty where nothing is installed", () => {
    assert.deepEqual(demoCorpus(FOLDERS), demoCorpus(FOLDERS));
    assert.ok(demoCorpus([import.meta.dirname]).every(({ patterns }) => patterns.length === 0));
  });
});
