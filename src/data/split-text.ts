/**
 * Cuts long texts into documents. Routing is per document, so a novel or a whole library in one file
 * must not be one document.
 */

/** Characters (UTF-16 units) that a part of a long text aims at. */
export const TARGET_CHARACTERS = 4096;
/** A text of at most this many characters stays whole, and no part is longer. */
export const MAX_CHARACTERS = 2 * TARGET_CHARACTERS;
const MIN_CHARACTERS = TARGET_CHARACTERS / 2;

/** Places to cut before, from best to worst: a heading, a blank line, a line, a sentence, a word. */
const BOUNDARIES = [
  /(?<=\n)(?:#{1,6} |(?:chapter|book|part|section|act|scene)\b)/gi,
  /(?<=\n[\t ]*\r?\n)(?=\S)/g,
  /(?<=\n)/g,
  /(?<=[.!?]["'”’)]?\s)/g,
  /(?<=\s)/g,
];

/** Splits a text of which more may follow. Push pieces, then finish. */
export class TextSplitter {
  #pending = "";

  /** Takes more text and returns the parts that are certain by now. */
  push(text: string): string[] {
    this.#pending += text;
    const parts: string[] = [];
    while (this.#pending.length > MAX_CHARACTERS) {
      const at = cutPosition(this.#pending);
      parts.push(this.#pending.slice(0, at));
      this.#pending = this.#pending.slice(at);
    }
    return parts;
  }

  /** The last part; empty when nothing is left. */
  finish(): string {
    const last = this.#pending;
    this.#pending = "";
    return last;
  }
}

/** The best place to cut within the first MAX_CHARACTERS: of the best kind found, the one nearest the target. */
function cutPosition(text: string): number {
  const window = text.slice(0, MAX_CHARACTERS);
  for (const boundary of BOUNDARIES) {
    let best = 0;
    for (const { index } of window.matchAll(boundary))
      if (Math.abs(index - TARGET_CHARACTERS) < Math.abs(best - TARGET_CHARACTERS)) best = index;
    if (best >= MIN_CHARACTERS) return best;
  }
  // Nothing to cut at, as in base64: cut between characters, never inside a surrogate pair.
  const unit = text.charCodeAt(TARGET_CHARACTERS - 1);
  return unit >= 0xd800 && unit < 0xdc00 ? TARGET_CHARACTERS - 1 : TARGET_CHARACTERS;
}
