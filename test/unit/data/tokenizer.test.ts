import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { before, describe, it } from "node:test";
import * as fc from "fast-check";
import { BYTE_CHARACTERS } from "../../../src/data/byte-level.ts";
import { encodeDocument, loadTokenizer } from "../../../src/data/tokenizer.ts";
import { END_OF_TEXT, type TokenizerJson, trainTokenizer } from "../../../src/data/train-tokenizer.ts";
import type { TextDocument, Tokenizer } from "../../../src/data/types.ts";
import { CorpusError, ManifestError } from "../../../src/errors.ts";

// Trained by Hugging Face's Rust trainer (tokenizers 0.23.2) on `text`: the first 600 merges.
const golden: { text: string; merges: [string, string][] } = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "../../golden/data/bpe.json"), "utf8"),
);
const document = (text: string, id = "a"): TextDocument => ({ id, source: id, origin: id, text });
const unicode = fc.oneof(
  fc.string({ unit: "binary" }).map((text) => text.toWellFormed()),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  fc
    .array(
      fc.constantFrom(
        "'s",
        "'ll",
        "''",
        " ",
        "  ",
        "\n",
        "\t",
        "don't",
        END_OF_TEXT,
        "<|",
        "whale",
        " 12",
        "鯨",
        "\ufeff",
        "\u00a0",
        "__proto__",
      ),
    )
    .map((parts) => parts.join("")),
);

describe("training a tokenizer", () => {
  it("finds the merges that Hugging Face's Rust trainer finds", async () => {
    const { model } = await trainTokenizer([document(golden.text)], {
      vocabulary: 257 + golden.merges.length,
    });
    assert.deepEqual(model.merges, golden.merges);
  });

  it("does not depend on the order of the documents, also when it samples", async () => {
    const documents = golden.text.split("\n").map((text, i) => document(text, `line ${i}`));
    for (const maxBytes of [1 << 20, 4000]) {
      const options = { vocabulary: 400, maxBytes };
      const forward = await trainTokenizer(documents, options);
      assert.deepEqual(await trainTokenizer(documents.toReversed(), options), forward);
    }
  });

  it("samples the whole corpus, not its start", async () => {
    // The hundred first documents alone fill the sample many times over.
    const documents = Array.from({ length: 200 }, (_, i) =>
      document((i < 100 ? "aaaa " : "bbbb ").repeat(200), `${i}`),
    );
    const { model } = await trainTokenizer(documents, { vocabulary: 270, maxBytes: 10_000 });
    assert.ok("Ġaaaa" in model.vocab && "Ġbbbb" in model.vocab);
  });

  it("stops when no pair occurs twice and starts with end-of-text and the bytes", async () => {
    const { model, added_tokens } = await trainTokenizer([document("ab ab")], { vocabulary: 5000 });
    const byId = Object.entries(model.vocab).toSorted(([, a], [, b]) => a - b);
    assert.deepEqual(
      byId.map(([token]) => token),
      [END_OF_TEXT, ...BYTE_CHARACTERS.toSorted(), "ab"],
    );
    assert.deepEqual(model.merges, [["a", "b"]]);
    assert.equal(added_tokens.length, 1);
  });

  it("refuses a vocabulary without room for all bytes and a corpus without documents", async () => {
    await assert.rejects(trainTokenizer([document("x")], { vocabulary: 256 }), ManifestError);
    await assert.rejects(trainTokenizer([], { vocabulary: 500 }), CorpusError);
  });
});

describe("a tokenizer", () => {
  let json: TokenizerJson;
  let tokenizer: Tokenizer;
  before(async () => {
    json = await trainTokenizer([document(golden.text)], { vocabulary: 700 });
    tokenizer = loadTokenizer(JSON.stringify(json));
  });

  it("decodes to what was encoded, for any text", () => {
    fc.assert(
      fc.property(unicode, (text) => assert.equal(tokenizer.decode(tokenizer.encode(text)), text)),
      {
        numRuns: 500,
      },
    );
    assert.equal(tokenizer.decode(tokenizer.encode(golden.text)), golden.text);
  });

  it("encodes the same with and without its memory", () => {
    fc.assert(
      fc.property(unicode, (text) =>
        assert.deepEqual(tokenizer.encode(text), loadTokenizer(JSON.stringify(json)).encode(text)),
      ),
      { numRuns: 50 },
    );
    assert.equal(tokenizer.decode(tokenizer.encode("a".repeat(5000))), "a".repeat(5000));
  });

  it("never lets a text speak a special token", () => {
    assert.equal(tokenizer.endOfText, 0);
    const ids = tokenizer.encode(`a${END_OF_TEXT}b`);
    assert.ok(!ids.includes(tokenizer.endOfText));
    assert.deepEqual(encodeDocument(tokenizer, "a"), Int32Array.of(...tokenizer.encode("a"), 0));
    assert.equal(tokenizer.decode([0]), END_OF_TEXT);
  });

  it("knows its size and loads from bytes", () => {
    const loaded = loadTokenizer(Buffer.from(JSON.stringify(json)));
    assert.equal(loaded.vocabulary, 700);
    assert.deepEqual(loaded.encode(golden.text), tokenizer.encode(golden.text));
    assert.equal(loaded.decode([]), "");
  });

  it("reads a tokenizer that adds spaces, specials and its own end-of-text, as the Rust library does", () => {
    const foreign = {
      ...json,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, use_regex: true },
      post_processor: {
        type: "TemplateProcessing",
        single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
        pair: [],
        special_tokens: {},
      },
      added_tokens: [
        { id: 700, content: "<s>", special: true },
        { id: 701, content: "</s>", special: true },
        { id: 702, content: "whale", special: false },
      ],
      model: { ...json.model, vocab: { ...json.model.vocab, [END_OF_TEXT]: undefined } },
    };
    const loaded = loadTokenizer(JSON.stringify(foreign));
    assert.equal(loaded.endOfText, 701);
    assert.equal(loaded.vocabulary, 703);
    const ids = loaded.encode("a white whale</s>");
    assert.ok(ids.includes(702) && !ids.includes(700) && !ids.includes(701));
    // The section behind an added token gets its own space; the last token is the special one.
    assert.equal(loaded.decode([...ids, 701]), " a white whale </s></s>");
  });

  it("refuses what is not a tokenizer", () => {
    const without = (...keys: string[]): string =>
      JSON.stringify(Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key))));
    const withModel = (model: object): string =>
      JSON.stringify({ ...json, model: { ...json.model, ...model } });
    const bad = [
      "",
      "{",
      "null",
      "[]",
      "{}",
      Uint8Array.of(0xff, 0xfe),
      without("model"),
      without("added_tokens"),
      withModel({ vocab: { a: -1 } }),
      withModel({ vocab: { a: 1e9 } }),
      withModel({ merges: 7 }),
      JSON.stringify({ ...json, pre_tokenizer: { type: "Nonsense" } }),
      JSON.stringify({ ...json, added_tokens: [], model: { ...json.model, vocab: { a: 0 }, merges: [] } }),
    ];
    for (const file of bad) assert.throws(() => loadTokenizer(file), CorpusError, String(file).slice(0, 80));
  });
});
