import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { MAX_CHARACTERS, TARGET_CHARACTERS, TextSplitter } from "../../../src/data/split-text.ts";

function split(text: string, pieces = [text]): string[] {
  const splitter = new TextSplitter();
  const parts = pieces.flatMap((piece) => splitter.push(piece));
  return [...parts, splitter.finish()];
}

const paragraph = `${"Call me Ishmael. ".repeat(20)}\n\n`;

describe("splitting long texts", () => {
  it("leaves a text up to the maximum whole", () => {
    assert.deepEqual(split("x".repeat(MAX_CHARACTERS)), ["x".repeat(MAX_CHARACTERS)]);
  });

  it("prefers headings, then blank lines, then lines, then sentences, then words", () => {
    const filler = paragraph.repeat(20);
    const chapter = split(`${filler.slice(0, 5000)}\nCHAPTER 2. The Carpet-Bag.\n${filler}`);
    assert.ok(chapter[1]!.startsWith("CHAPTER 2."));
    const markdown = split(`${filler.slice(0, 5000)}\n## Usage\n${filler}`);
    assert.ok(markdown[1]!.startsWith("## Usage"));
    assert.ok(split(filler + filler).every((part) => part.startsWith("Call me") && part.endsWith("\n\n")));
    const code = "  const value = compute(other);\n".repeat(1000);
    assert.ok(split(code).every((part) => part.endsWith(";\n")));
    const speech = "We the People of the United States. ".repeat(1000);
    assert.ok(
      split(speech)
        .slice(1)
        .every((part) => part.startsWith("We the")),
    );
    assert.ok(
      split("word ".repeat(5000))
        .slice(1)
        .every((part) => part.startsWith("word")),
    );
  });

  it("loses nothing, keeps sizes and does not depend on how the text arrives", () => {
    const unit = fc.constantFrom("🐋", "a", "\n", "\n\n", "# head\n", "word ", "End. ", "\r\n\r\n", "é");
    fc.assert(
      fc.property(
        fc.array(fc.tuple(unit, fc.integer({ min: 1, max: 4000 })), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5000 }),
        (runs, step) => {
          const text = runs.map(([piece, times]) => piece.repeat(times)).join("");
          const parts = split(text);
          assert.equal(parts.join(""), text);
          for (const part of parts) {
            assert.ok(part.length <= MAX_CHARACTERS);
            assert.ok(part.isWellFormed());
          }
          for (const part of parts.slice(0, -1)) assert.ok(part.length >= TARGET_CHARACTERS / 2);
          const pieces = Array.from({ length: Math.ceil(text.length / step) }, (_, i) =>
            text.slice(i * step, (i + 1) * step),
          );
          assert.deepEqual(split(text, pieces), parts);
        },
      ),
      { numRuns: 50 },
    );
  });

  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
  const graphemesOf = (text: string): string[] =>
    Array.from(graphemes.segment(text), ({ segment }) => segment);

  for (const [script, sentences, end] of [
    ["Chinese", "我们去看鲸鱼。船在海上，风很大！你看见了吗？", /[。！？]$/],
    ["Japanese", "吾輩は猫である。名前はまだ無い。どこで生れたか。", /。$/],
    ["Hindi", "व्हेल समुद्र में रहती है। जहाज़ चलता है। ", /। $/],
    ["Arabic", "الحوت يعيش في البحر. هل رأيته؟ نعم! ", /[.؟!] $/],
    ["Armenian", "Կետը ապրում է ծովում։ Տեսա՞ր նրան։ ", /։ $/],
    ["English", "“Call me Ishmael.” Some years ago I went to sea! Why? ", /[.”!?] $/],
  ] as const)
    it(`cuts ${script} between sentences, where no line ends`, () => {
      const text = sentences.repeat(1000);
      const parts = split(text);
      assert.ok(parts.length > 3);
      assert.equal(parts.join(""), text);
      for (const part of parts) assert.match(part, end);
    });

  it("cuts Thai, which has no spaces, between words", () => {
    const words = ["วาฬ", "เป็น", "สัตว์", "เลี้ยง", "ลูก", "ด้วย", "นม"];
    const parts = split(words.join("").repeat(1000));
    assert.ok(parts.length > 3);
    for (const part of parts) {
      assert.ok(words.some((word) => part.startsWith(word)));
      assert.ok(words.some((word) => part.endsWith(word)));
    }
  });

  for (const [name, unit] of [
    ["families of emoji", "👩‍👩‍👧‍👦"],
    ["flags", "🇩🇪"],
    ["skin tones", "👋🏽"],
    ["combining marks", "e\u0301\u0323"],
    ["a space with a mark", " \u0301"],
    ["jamo", "\u1112\u1161\u11ab"],
    ["Devanagari clusters", "क्षि"],
    ["Thai vowels", "กำ"],
    ["line ends of Windows", "\r\n"],
  ] as const)
    it(`never cuts inside ${name}`, () => {
      // One letter in front moves every place to cut.
      for (const shift of ["", "a", "ab"]) {
        const text = shift + unit.repeat(6000);
        const parts = split(text);
        assert.ok(parts.length > 1);
        assert.deepEqual(parts.flatMap(graphemesOf), graphemesOf(text));
      }
    });

  it("cuts a letter with more marks than a document holds, between code points", () => {
    const parts = split(`a${"\u{1e000}".repeat(20_000)}`);
    assert.ok(parts.every((part) => part.length <= MAX_CHARACTERS && part.isWellFormed()));
  });
});
