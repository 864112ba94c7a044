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
});
