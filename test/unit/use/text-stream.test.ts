import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as fc from "fast-check";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import { trainTokenizer } from "../../../src/data/train-tokenizer.ts";
import type { Tokenizer } from "../../../src/data/types.ts";
import { createTextStream } from "../../../src/use/text-stream.ts";

/** Byte-level with hardly any merges, so that nearly every byte is a token of its own. */
let bytes: Tokenizer;
/** As Llama's first tokenizers: ▁ for spaces, dropped before the first token, and unknown characters as single bytes. */
let metaspace: Tokenizer;

before(async () => {
  const text = "a whale, a sea; naïve 鯨";
  bytes = loadTokenizer(
    JSON.stringify(await trainTokenizer([{ id: "a", source: "a", origin: "a", text }], { vocabulary: 262 })),
  );
  const names = [
    "</s>",
    "▁",
    "▁a",
    "▁whale",
    "a",
    "b",
    ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  ];
  metaspace = loadTokenizer(
    JSON.stringify({
      version: "1.0",
      added_tokens: [{ id: 0, content: "</s>", special: true, normalized: false }],
      normalizer: null,
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: true },
      post_processor: null,
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      model: {
        type: "BPE",
        byte_fallback: true,
        unk_token: null,
        vocab: Object.fromEntries(names.map((name, id) => [name, id])),
        merges: [],
      },
    }),
  );
});

/** The pieces of a text as they come, the last one from the end. */
function pieces(tokenizer: Tokenizer, ids: number[], prompt: number[] = []): string[] {
  const stream = createTextStream((some) => tokenizer.decode(some), prompt);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

test("half a character is held back until it is whole", () => {
  const ids = bytes.encode("x鯨y");
  assert.equal(ids.length, 5, "every byte is a token");
  assert.deepEqual(pieces(bytes, ids), ["x", "", "", "鯨", "y", ""]);
});

test("a text that ends in half a character ends in a replacement", () => {
  const ids = bytes.encode("x鯨").slice(0, -1);
  assert.deepEqual(pieces(bytes, ids), ["x", "", "", "\uFFFD"]);
});

test("bytes that never become a character do not hold the rest back", () => {
  const [first] = bytes.encode("鯨");
  const ids = [first!, first!, first!, first!, first!, ...bytes.encode("ok")];
  const shown = pieces(bytes, ids);
  assert.equal(shown.join(""), bytes.decode(ids));
  assert.ok(shown.slice(0, 5).join("").length >= 2, "before the text ends");
  assert.equal(shown.at(-2), "k");
});

test("single bytes of other tokenizers are held back, too, and a space after the prompt stays", () => {
  const byte = (value: number): number => 6 + value;
  const whale = [...Buffer.from("鯨")].map(byte);
  assert.equal(metaspace.decode([2, 3]), "a whale");
  assert.deepEqual(pieces(metaspace, [3, ...whale, 4], [2]), [" whale", "", "", "鯨", "a", ""]);
  assert.deepEqual(pieces(metaspace, [3, 2]), ["whale", " a", ""], "nothing before: as the decoder has it");
});

test("the pieces are the text, for any text and any cut", () => {
  const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 40 }), fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(text, fc.nat(), (raw, at) => {
      const ids = bytes.encode(raw.toWellFormed());
      const cut = at % (ids.length + 1);
      const prompt = bytes.decode(ids.slice(0, cut));
      // A cut within a character leaves bytes of it on both sides.
      fc.pre(!prompt.endsWith("\uFFFD"));
      const shown = pieces(bytes, ids.slice(cut), ids.slice(0, cut));
      assert.equal(prompt + shown.join(""), bytes.decode(ids));
    }),
  );
});
