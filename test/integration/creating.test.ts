/** `createRun` on corpora as people have them: what it holds out, what it says, and what it refuses. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { stringify } from "yaml";
import { type CreatedRun, createRun } from "../../src/create/create.ts";
import { createBatches } from "../../src/data/sequences.ts";
import { openShard } from "../../src/data/shard.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import type { TokenizedShard } from "../../src/data/types.ts";
import { CorpusError } from "../../src/errors.ts";
import { silentLogger } from "../../src/log.ts";
import { ShardObject, TokenizerObject } from "../../src/objects/data.ts";
import type { ShardReference } from "../../src/objects/manifest.ts";
import { openDirectory } from "../../src/peer/directory.ts";
import { createRandom } from "../../src/random.ts";
import { parseRunFile } from "../../src/run/run-file.ts";
import { temporaryFolder } from "../unit/data/corpus.ts";

const random = createRandom("creating test");
const VOCABULARY = Array.from({ length: 400 }, () => random.integer(1 << 24).toString(36));
const words = (count: number): string =>
  Array.from({ length: count }, () => VOCABULARY[random.integer(400)]).join(" ");
const jsonl = (texts: string[]): string => texts.map((text) => `${JSON.stringify({ text })}\n`).join("");

interface Created extends CreatedRun {
  open(reference: ShardReference): Promise<TokenizedShard>;
  texts(shard: TokenizedShard): string[];
}

async function create(t: TestContext, files: Record<string, string>, changes: object = {}): Promise<Created> {
  const folder = temporaryFolder(t, files);
  const run = stringify({
    name: "creating",
    corpus: ".",
    grid: [2],
    model: { vocabulary: 600, sequenceLength: 64, width: 16, blocks: 1, heads: 1 },
    training: { rounds: 1, innerSteps: 2, batchSize: 4, seedSteps: 2, warmupSteps: 1 },
    ...changes,
  });
  const data = mkdtempSync(path.join(tmpdir(), "pathweave-creating-"));
  const node = await openDirectory(
    data,
    { listen: [], announce: [], bootstrap: [], mdns: false },
    silentLogger,
  );
  t.after(async () => {
    await node.stop();
    rmSync(data, { recursive: true, force: true });
  });
  const created = await createRun({
    file: parseRunFile(run, path.join(folder, "run.yaml")),
    creator: node.network.peerId,
    store: node.store,
    packs: node.packs,
    device: { kind: "eager", device: "cpu" },
    onProgress: () => {},
    signal: t.signal,
  });
  const { chunks } = TokenizerObject.decode(await node.store.get(created.manifest.tokenizer));
  const tokenizer = loadTokenizer(Buffer.concat(await Promise.all(chunks.map((cid) => node.store.get(cid)))));
  return {
    ...created,
    open: async ({ shard }) =>
      openShard(ShardObject.decode(await node.store.get(shard)), (cid) => node.store.get(cid), tokenizer),
    texts: (shard) =>
      Array.from({ length: shard.documents }, (_, index) =>
        tokenizer.decode(shard.document(index).subarray(0, -1)),
      ),
  };
}

describe("making a run", () => {
  it("gives every path something to train on where most records are shorter than the routing prefix", async (t) => {
    const records = [
      ...Array.from({ length: 900 }, () => words(5)),
      ...Array.from({ length: 120 }, () => words(120)),
    ];
    const { manifest, open } = await create(t, { "records.jsonl": jsonl(records) });
    for (const reference of manifest.shards) {
      const shard = await open(reference);
      const batches = createBatches(shard, {
        sequenceLength: 64,
        prefixTokens: manifest.config.routing.prefixTokens,
        maskPrefix: true,
        batchSize: 4,
        endOfText: shard.endOfText,
        seed: 0,
      });
      assert.ok(batches.batchAt(0).mask.some((weight) => weight === 1));
    }
  });

  it("refuses a corpus of short records before the warm start", async (t) => {
    const short = jsonl(Array.from({ length: 900 }, () => words(5)));
    await assert.rejects(create(t, { "records.jsonl": short }), (error) => {
      assert.ok(error instanceof CorpusError);
      assert.match(error.message, /0 tokens in 0 documents can be trained on, since the first 32 tokens/);
      return true;
    });
  });

  it("names the path and replica that would have too little", async (t) => {
    const unequal = [
      ...Array.from({ length: 60 }, () => words(60)),
      ...Array.from({ length: 6 }, () => "0 ".repeat(90 + random.integer(9))),
    ];
    await assert.rejects(
      create(t, { "records.jsonl": jsonl(unequal) }, { replicas: 12 }),
      /^CorpusError: Path [01] has \d+ documents? .*its 12 replicas need at least 768 such tokens/,
    );
  });

  it("holds out the end of a corpus that is one long text, and says so", async (t) => {
    const text = Array.from({ length: 2500 }, () => words(8)).join("\n");
    const { manifest, counts, cut, open, texts } = await create(t, { "book.txt": text });
    assert.equal(cut, 1);
    const held = texts(await open(manifest.validation)).join("");
    assert.ok(text.endsWith(held) && held.length > 0);
    const share =
      counts.validation.tokens / (counts.train.tokens + counts.validation.tokens + counts.router.tokens);
    assert.ok(share > 0.025 && share < 0.1, `${share}`);
  });

  it("never scores what it trained on: copies and near-copies under other names", async (t) => {
    const essays = Array.from({ length: 80 }, () => words(150));
    const files: Record<string, string> = {};
    for (const [index, essay] of essays.entries()) {
      files[`essays/${index}.txt`] = essay;
      files[`backup/old ${80 - index}.md`] = essay;
      files[`drafts/${index}.txt`] = `${essay} ${words(3)}\r\n`;
    }
    const { manifest, duplicates, corpus, open, texts } = await create(t, files);
    assert.deepEqual(duplicates, { copies: 80, nearCopies: 80 });
    const held = texts(await open(manifest.validation));
    assert.ok(held.length > 0);
    const trained = texts(corpus);
    for (const own of held)
      assert.ok(
        !trained.some((other) => own.startsWith(other.slice(0, 500)) || other.startsWith(own.slice(0, 500))),
      );
    // Also the holdout of a path is not what its shard holds.
    for (const [path, reference] of manifest.holdouts.entries()) {
      const own = new Set(texts(await open(manifest.shards[path]!)).map((other) => other.slice(0, 500)));
      for (const holdout of texts(await open(reference))) assert.ok(!own.has(holdout.slice(0, 500)));
    }
  });
});
