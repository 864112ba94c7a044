import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { describeLosses, LossCounter } from "../../../src/data/losses.ts";
import { createNormalizer } from "../../../src/data/normalizer.ts";
import { translatePattern } from "../../../src/data/oniguruma.ts";
import { createPreTokenizer } from "../../../src/data/pre-tokenizer.ts";
import { encodeDocument, loadTokenizer } from "../../../src/data/tokenizer.ts";
import { CorpusError } from "../../../src/errors.ts";

interface Shape {
  name: string;
  tokenizer: {
    normalizer: unknown;
    pre_tokenizer: unknown;
    added_tokens: object[];
    model: { vocab: Record<string, number> };
  };
  ids: number[][];
  pieces: number[][];
}
// Written by scripts/interop/tokenizer_shapes.py --golden: what Hugging Face's Rust library (0.23.3) does.
const golden: { strings: string[]; shapes: Shape[] } = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "../../golden/data/tokenizers.json"), "utf8"),
);
const shape = (name: string): Shape => golden.shapes.find((candidate) => candidate.name === name)!;

describe("a published tokenizer", () => {
  for (const { name, tokenizer: json, ids, pieces } of golden.shapes)
    it(`gives the ids of the Rust library: ${name}`, () => {
      const tokenizer = loadTokenizer(JSON.stringify(json));
      const { cut, bytes } = createPreTokenizer(json.pre_tokenizer);
      const normalize = createNormalizer(json.normalizer);
      for (const [index, text] of golden.strings.entries()) {
        assert.deepEqual(tokenizer.encode(text), ids[index], JSON.stringify(text));
        // A wrong cut need not change an id; so the cuts are compared, too.
        const cuts = cut(normalize(text), true).map((piece) =>
          bytes ? Buffer.byteLength(piece) : Array.from(piece).length,
        );
        if (text !== "") assert.deepEqual(cuts, pieces[index], JSON.stringify(text));
      }
    });

  const gpt2 = shape("GPT-2").tokenizer;
  const split = (Regex: string): object => ({
    pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false },
  });
  const added = (flags: object): object => ({
    added_tokens: [...gpt2.added_tokens, { id: 500, content: "<tool>", special: false, ...flags }],
  });
  const refused: [what: string, change: object, reason: RegExp][] = [
    ["WordPiece", { model: { type: "WordPiece", vocab: {} } }, /model WordPiece is not supported/],
    ["Unigram", { model: { type: "Unigram", vocab: [] } }, /model Unigram/],
    ["a model of no type", { model: { vocab: {} } }, /model one without a type/],
    ["dropout", { model: { ...gpt2.model, dropout: 0.1 } }, /dropout/],
    [
      "a prefix of subwords",
      { model: { ...gpt2.model, continuing_subword_prefix: "##" } },
      /continuing_subword_prefix/,
    ],
    ["a suffix of words", { model: { ...gpt2.model, end_of_word_suffix: "</w>" } }, /end_of_word_suffix/],
    [
      "bytes that are missing",
      { model: { ...gpt2.model, byte_fallback: true } },
      /byte_fallback without <0x00>/,
    ],
    ["an unknown token that is unknown", { model: { ...gpt2.model, unk_token: "?!" } }, /unk_token "\?!"/],
    ["truncation", { truncation: { max_length: 8 } }, /truncation/],
    ["padding", { padding: { strategy: "BatchLongest" } }, /padding/],
    ["NFKC", { normalizer: { type: "NFKC" } }, /normalizer NFKC/],
    [
      "a normalizer in a sequence",
      { normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "StripAccents" }] } },
      /normalizer StripAccents/,
    ],
    [
      "replacing by expression",
      { normalizer: { type: "Replace", pattern: { Regex: " +" }, content: " " } },
      /normalizer Replace/,
    ],
    [
      "BERT's pre-tokenizer",
      { pre_tokenizer: { type: "BertPreTokenizer" } },
      /pre-tokenizer BertPreTokenizer/,
    ],
    ["an unknown pre-tokenizer", { pre_tokenizer: { type: "Nonsense" } }, /pre-tokenizer Nonsense/],
    [
      "a step behind the bytes",
      { pre_tokenizer: { type: "Sequence", pretokenizers: [gpt2.pre_tokenizer, { type: "Digits" }] } },
      /ByteLevel in front of another/,
    ],
    [
      "two schemes of Metaspace",
      {
        pre_tokenizer: {
          type: "Metaspace",
          replacement: "_",
          prepend_scheme: "first",
          add_prefix_space: false,
        },
      },
      /both schemes/,
    ],
    ["an added token that strips", added({ lstrip: true }), /added token "<tool>" with lstrip/],
    ["an added token that is a word", added({ single_word: true }), /"<tool>" with single_word/],
    ["an empty added token", added({ content: "" }), /empty added token/],
    ["an added token with two ids", added({ content: "Ġ" }), /"Ġ" with two ids/],
    ...[
      [String.raw`[\p{L}&&[^a]]`, "&& inside of a class"],
      ["[a[b]]", String.raw`\[ inside of a class`],
      [String.raw`\G\w`, String.raw`\\G`],
      [String.raw`\p{L}++`, "possessive quantifier"],
      [String.raw`(?>a)`, "not compared"],
      [String.raw`\w+`, String.raw`\\w, which was not compared`],
      [String.raw`\h`, String.raw`\\h`],
      [String.raw`\bа`, String.raw`\\b`],
      ["^a", "not compared"],
      ["a$", "not compared"],
      ["(?i)a", "not compared"],
      ["(?<name>a)", "not compared"],
      ["a{,3}", "not compared"],
      [String.raw`\p{Han}`, String.raw`class \\p\{Han\}`],
      ["(?i:[a-c])", "case is ignored"],
      ["(?i:straße)", "case"],
      ["(?i:ss)", "case"],
      ["[[:alpha:]]", "inside of a class"],
      ["[a", "a class without an end"],
      ["(a", "JavaScript does not know"],
      ["a)", "not opened"],
    ].map(([expression, reason]): [string, object, RegExp] => [
      `the expression ${expression}`,
      split(expression!),
      new RegExp(reason!),
    ]),
  ];
  for (const [what, change, reason] of refused)
    it(`is refused by name for ${what}`, () => {
      const isRefusal = (error: Error): boolean => {
        assert.ok(error instanceof CorpusError);
        assert.match(error.message, reason);
        assert.match(error.message, /is not supported.*Use another tokenizer\.json/s);
        return true;
      };
      assert.throws(() => loadTokenizer(JSON.stringify({ ...gpt2, ...change })), isRefusal);
    });

  it("may have special tokens of any kind, since their names are ordinary text", () => {
    const special = { id: 500, content: "<mask>", special: true, lstrip: true, single_word: true };
    const tokenizer = loadTokenizer(
      JSON.stringify({ ...gpt2, added_tokens: [...gpt2.added_tokens, special] }),
    );
    assert.ok(!tokenizer.encode("a <mask> b").includes(500));
  });
});

describe("an expression of Oniguruma", () => {
  // Counted with Hugging Face's Rust library 0.23.3 over all code points. JavaScript alone counts what its Unicode has.
  const COUNTS = {
    "\\p{L}": 141_028,
    "\\p{N}": 1911,
    "\\p{M}": 2501,
    "\\p{P}": 855,
    "\\p{S}": 8514,
    "\\p{Lu}": 1858,
    "\\p{Ll}": 2258,
    "\\p{Lt}": 31,
    "\\p{Lm}": 404,
    "\\p{Lo}": 136_477,
    "\\p{Nd}": 760,
    "\\d": 760,
    "\\p{Z}": 19,
    "\\s": 25,
    "[^\\s\\p{L}]": 1_112_064 - 141_028 - 25,
    "\\P{L}": 1_112_064 - 141_028,
  };
  it("has the characters of Rust's Unicode in each class, whatever this Node.js knows", () => {
    const all: string[] = [];
    for (let point = 0; point < 0x110000; point++)
      if (point < 0xd800 || point > 0xdfff) all.push(String.fromCodePoint(point));
    const text = all.join("");
    for (const [source, count] of Object.entries(COUNTS))
      assert.equal(text.match(translatePattern(source))?.length, count, source);
  });

  it("knows the third case of s and k, Unicode's spaces, and a dot that stops at line ends alone", () => {
    const matches = (source: string, text: string): string[] => text.match(translatePattern(source)) ?? [];
    assert.deepEqual(matches("(?i:'s|'k)", "'s'S'ſ'k'K'\u212a's"), [
      "'s",
      "'S",
      "'ſ",
      "'k",
      "'K",
      "'\u212a",
      "'s",
    ]);
    assert.deepEqual(matches(String.raw`\s`, "\ufeff\u0085\u200b\u3000"), ["\u0085", "\u3000"]);
    assert.deepEqual(matches(".", "\r\n\u2028"), ["\r", "\u2028"]);
    assert.deepEqual(matches(String.raw`[a\-c-e\]-]+`, "a-b]de"), ["a-", "]de"]);
    assert.deepEqual(matches(String.raw`(a|b){2,}?|[^\p{L}]`, "abba1"), ["ab", "ba", "1"]);
  });
});

describe("losses", () => {
  const lossesOf = (name: string, ...texts: string[]) => {
    const tokenizer = loadTokenizer(JSON.stringify(shape(name).tokenizer));
    const counter = new LossCounter();
    for (const text of texts) {
      counter.nextDocument();
      encodeDocument(tokenizer, text, counter.add);
    }
    return { ...counter.losses, hasUnknown: tokenizer.hasUnknown };
  };

  it("are counted where a character has no token, and shown", () => {
    const texts = ["a 🐋🐋 b", "all me some", "\u0007 🐋 鯨"];
    const unknown = lossesOf("unknown token, fused", ...texts);
    assert.deepEqual(unknown, {
      characters: 5,
      documents: 2,
      examples: ["🐋", "\u0007", "鯨"],
      hasUnknown: true,
    });
    assert.deepEqual(describeLosses(unknown), [
      "the tokenizer has no token for 5 characters in 2 documents (🐋 (U+1F40B), U+0007, 鯨 (U+9BE8)) and writes the unknown token instead",
    ]);
    const dropped = lossesOf("no unknown token", ...texts);
    assert.equal(dropped.characters, 5);
    assert.match(describeLosses(dropped)[0]!, /and leaves them out$/);
  });

  it("are none where bytes stand in", () => {
    for (const name of ["GPT-2", "Llama 2", "Llama 3"])
      assert.equal(lossesOf(name, "a 🐋🐋 b", "\u0007 🐋 鯨").characters, 0);
    assert.deepEqual(describeLosses({ characters: 0, documents: 0, examples: [], hasUnknown: true }), []);
  });
});
