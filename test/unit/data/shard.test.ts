import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { encodeShard, openShard, type ShardOptions, ShardWriter } from "../../../src/data/shard.ts";
import type { TokenizedShard } from "../../../src/data/types.ts";
import { InvalidObjectError } from "../../../src/errors.ts";
import { ShardObject } from "../../../src/objects/data.ts";
import { type Block, MAX_BLOCK_BYTES, rawBlock } from "../../../src/objects/object.ts";

const OPTIONS: ShardOptions = { name: "test", endOfText: 0, vocabulary: 2048 };

function reader(blocks: Block[]) {
  const bytes = new Map(blocks.map((block) => [block.cid.toString(), block.bytes]));
  return async (cid: { toString(): string }): Promise<Uint8Array> => bytes.get(cid.toString())!;
}

function open(
  { object, blocks }: { object: ShardObject; blocks: Block[] },
  options: { vocabulary?: number; maxBytes?: number; memoryBytes?: number } = {},
): Promise<TokenizedShard> {
  const decoded = ShardObject.decode(ShardObject.encode(object).bytes);
  return openShard(decoded, reader(blocks), { vocabulary: OPTIONS.vocabulary, endOfText: 0, ...options });
}

/** Documents of random ids, each ended by 0. */
const documentsOf = (vocabulary: number, maxLength: number) =>
  fc
    .array(fc.array(fc.integer({ min: 1, max: vocabulary - 1 }), { maxLength }), { maxLength: 30 })
    .map((documents) => documents.map((ids) => Int32Array.of(...ids, 0)));

const raw = (values: number[], width: 2 | 4): Block => {
  const bytes = Buffer.alloc(values.length * width);
  for (const [i, value] of values.entries()) bytes.writeUIntLE(value, i * width, width);
  return rawBlock(new Uint8Array(bytes));
};

describe("shards", () => {
  it("give back every document, with two and four bytes a token", async () => {
    for (const [vocabulary, width] of [
      [2048, 2],
      [1 << 16, 2],
      [(1 << 16) + 1, 4],
    ] as const)
      await fc.assert(
        fc.asyncProperty(documentsOf(vocabulary, 50), async (documents) => {
          const encoded = encodeShard(documents, { ...OPTIONS, vocabulary });
          assert.equal(encoded.object.width, width);
          const shard = await open(encoded, { vocabulary });
          assert.equal(shard.documents, documents.length);
          assert.equal(
            shard.tokens,
            documents.reduce((sum, document) => sum + document.length, 0),
          );
          assert.equal(shard.offset(documents.length), shard.tokens);
          assert.deepEqual(
            documents.map((_, index) => shard.document(index)),
            documents,
          );
        }),
        { numRuns: 50 },
      );
  });

  it("cross block boundaries and are the same whether streamed or encoded at once", async () => {
    // 1.5 Mi tokens of two bytes: three blocks of tokens.
    const documents = Array.from({ length: 1500 }, (_, i) =>
      Int32Array.from({ length: 1049 }, (_ignored, j) => (j === 1048 ? 0 : 1 + ((i * 31 + j) % 2047))),
    );
    const writer = new ShardWriter(OPTIONS);
    const streamed: Block[] = [];
    let filled = 0;
    for (const document of documents) {
      const blocks = writer.add(document);
      if (blocks.length > 0) filled++;
      streamed.push(...blocks);
    }
    assert.equal(filled, 3);
    assert.equal(writer.documents, 1500);
    assert.equal(writer.tokens, 1500 * 1049);
    const finished = writer.finish();
    const encoded = encodeShard(documents, OPTIONS);
    assert.deepEqual(finished.object, encoded.object);
    assert.deepEqual([...streamed, ...finished.blocks], encoded.blocks);
    assert.ok(encoded.blocks.every(({ bytes }) => bytes.byteLength <= MAX_BLOCK_BYTES));

    const shard = await open(encoded);
    assert.deepEqual(
      documents.map((_, index) => shard.document(index)),
      documents,
    );
    const all = Int32Array.from(documents.flatMap((document) => [...document]));
    for (const [start, end] of [
      [0, 10],
      [(1 << 19) - 3, (1 << 19) + 3],
      [5, (1 << 20) + 5],
      [shard.tokens - 1, shard.tokens],
      [7, 7],
    ] as const)
      assert.deepEqual(shard.slice(start, end), all.slice(start, end));
    assert.throws(() => shard.slice(0, shard.tokens + 1), RangeError);
    assert.throws(() => shard.document(1500), RangeError);
  });

  it("have pinned bytes", () => {
    const { object, blocks } = encodeShard([Int32Array.of(1, 258, 0), Int32Array.of(0)], OPTIONS);
    assert.deepEqual(
      blocks.map(({ bytes }) => Buffer.from(bytes).toString("hex")),
      ["0100020100000000", "0300000001000000"],
    );
    assert.equal(
      ShardObject.encode(object).cid.toString(),
      "bafyreicmslitshr3ixd4bqimryyfnqojrmokqjlcpgkoeizafgnamyl5re",
    );
  });

  it("refuse to be written wrongly", () => {
    const writer = new ShardWriter(OPTIONS);
    assert.throws(() => writer.add(Int32Array.of(1, 2)), RangeError);
    assert.throws(() => writer.add(Int32Array.of()), RangeError);
    assert.throws(() => writer.add(Int32Array.of(2048, 0)), RangeError);
    assert.throws(() => writer.add(Int32Array.of(-1, 0)), RangeError);
    assert.equal(writer.documents, 0);
  });

  it("may be empty", async () => {
    const shard = await open(encodeShard([], OPTIONS));
    assert.deepEqual([shard.documents, shard.tokens, shard.offset(0)], [0, 0, 0]);
  });
});

describe("a hostile shard", () => {
  const good = encodeShard([Int32Array.of(5, 6, 0), Int32Array.of(7, 0)], OPTIONS);
  const forged = (
    change: Partial<ShardObject>,
    tokens: number[] = [5, 6, 0, 7, 0],
    lengths: number[] = [3, 2],
  ) => {
    const blocks = [raw(tokens, 2), raw(lengths, 4)];
    const object = { ...good.object, chunks: [blocks[0]!.cid], lengths: [blocks[1]!.cid], ...change };
    return { object, blocks };
  };

  it("is the good one when nothing is forged", async () => {
    assert.deepEqual((await open(forged({}))).document(1), Int32Array.of(7, 0));
  });

  const cases: Record<string, { object: ShardObject; blocks: Block[] }> = {
    "claims more tokens": forged({ tokens: 6 }),
    "claims fewer tokens": forged({ tokens: 4 }),
    "claims more documents": forged({ documents: 3 }),
    "claims fewer documents": forged({ documents: 1 }),
    "has another end-of-text": forged({ endOfText: 1 }),
    "has another width": forged({ width: 4 }),
    "has no chunks": forged({ chunks: [] }),
    "has no lengths": forged({ lengths: [] }),
    "has a chunk twice": forged({ chunks: [forged({}).object.chunks[0]!, forged({}).object.chunks[0]!] }),
    "holds an id outside the vocabulary": forged({}, [5, 2048, 0, 7, 0]),
    "has lengths that add up to less": forged({}, undefined, [3, 1]),
    "has lengths that add up to more": forged({}, undefined, [3, 0xffff_fff0]),
    "has an empty document": forged({ documents: 3 }, undefined, [3, 0, 2]),
    "has a document without an end": forged({}, [5, 6, 0, 7, 8]),
    "has lengths between documents' ends": forged({}, undefined, [2, 3]),
    "claims a petabyte": forged({ tokens: 2 ** 50, documents: 2 ** 40 }),
  };
  for (const [what, shard] of Object.entries(cases))
    it(`is refused when it ${what}`, () => assert.rejects(open(shard), InvalidObjectError));

  it("lies in a temporary file when it is large, and reads the same", async () => {
    for (const vocabulary of [2048, (1 << 16) + 1])
      await fc.assert(
        fc.asyncProperty(documentsOf(vocabulary, 50), fc.nat(), fc.nat(), async (documents, a, b) => {
          const encoded = encodeShard(documents, { ...OPTIONS, vocabulary });
          const inMemory = await open(encoded, { vocabulary });
          const onDisk = await open(encoded, { vocabulary, memoryBytes: -1 });
          const [from, to] = [a % (inMemory.tokens + 1), b % (inMemory.tokens + 1)].toSorted((x, y) => x - y);
          assert.deepEqual(onDisk.slice(from!, to!), inMemory.slice(from!, to!));
          for (let index = 0; index < documents.length; index++)
            assert.deepEqual(onDisk.document(index), inMemory.document(index));
        }),
        { numRuns: 20 },
      );
    const long = Int32Array.from({ length: 1_200_000 }, (_, index) => 1 + (index % 2047));
    long[long.length - 1] = 0;
    const shard = await open(encodeShard([long], OPTIONS), { memoryBytes: -1 });
    assert.deepEqual(shard.slice(524_280, 524_300), long.slice(524_280, 524_300), "across two chunks");
  });

  it("is refused before a byte is fetched when it is too large", async () => {
    const object = { ...good.object, tokens: 2 ** 34 };
    await assert.rejects(
      openShard(object, () => assert.fail("fetched"), { vocabulary: 2048, endOfText: 0 }),
      InvalidObjectError,
    );
    await assert.rejects(open(good, { maxBytes: 20 }), InvalidObjectError);
  });
});
