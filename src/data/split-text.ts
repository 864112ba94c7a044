/**
 * Cuts long texts into documents. Routing is per document, so a novel or a whole library in one file
 * must not be one document.
 */

/** Characters (UTF-16 units) that a part of a long text aims at. */
export const TARGET_CHARACTERS = 4096;
/** A text of at most this many characters stays whole, and no part is longer. */
export const MAX_CHARACTERS = 2 * TARGET_CHARACTERS;
const MIN_CHARACTERS = TARGET_CHARACTERS / 2;

/** The best places to cut before, from best to worst: a heading, a blank line, a line. */
const LINES = [
  /(?<=\n)(?:#{1,6} |(?:chapter|book|part|section|act|scene)\b)/gi,
  /(?<=\n[\t ]*\r?\n)(?=\S)/g,
  /(?<=\n)/g,
];
/** After white space, in scripts that divide words by it. */
const SPACES = /(?<=\s)(?=\S)/g;

// A fixed locale, so that the parts do not depend on the machine; the rules of Unicode hold for every script.
const sentences = new Intl.Segmenter("en", { granularity: "sentence" });
const words = new Intl.Segmenter("en", { granularity: "word" });
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The parts of a whole text, which join to it. */
export function* cutText(text: string): Generator<string> {
  let start = 0;
  while (text.length - start > MAX_CHARACTERS) {
    const at = start + cutPosition(text.slice(start, start + MAX_CHARACTERS));
    yield text.slice(start, at);
    start = at;
  }
  yield text.slice(start);
}

/** Splits a text that arrives in pieces. Push pieces, then finish. */
export class TextSplitter {
  #pending = "";

  /** Takes more text and returns the parts that are certain by now. */
  push(text: string): string[] {
    const parts = [...cutText(this.#pending + text)];
    this.#pending = parts.pop()!;
    return parts;
  }

  /** The last part; empty when nothing is left. */
  finish(): string {
    const last = this.#pending;
    this.#pending = "";
    return last;
  }
}

/** Where to cut a text that starts with `window`, MAX_CHARACTERS of it: at the best kind of place that it has. */
function cutPosition(window: string): number {
  const whole = graphemes.segment(window);
  const isBoundary = (at: number): boolean => whole.containing(at)?.index === at;
  for (const boundary of LINES) {
    const at = nearest(window, boundary, isBoundary);
    if (at !== undefined) return at;
  }
  return (
    edgeOf(sentences.segment(window), window, isBoundary) ??
    nearest(window, SPACES, isBoundary) ??
    edgeOf(words.segment(window), window, isBoundary) ??
    edgeOf(whole, window, isBoundary) ??
    // More marks on one letter than fit into a document are no text: cut between code points.
    (isTrail(window.charCodeAt(TARGET_CHARACTERS)) ? TARGET_CHARACTERS - 1 : TARGET_CHARACTERS)
  );
}

/** The match nearest to the target, far enough from the start, that splits no grapheme. */
function nearest(window: string, pattern: RegExp, isBoundary: (at: number) => boolean): number | undefined {
  let best: number | undefined;
  for (const { index } of window.matchAll(pattern)) {
    if (index < MIN_CHARACTERS) continue;
    const closer =
      best === undefined || Math.abs(index - TARGET_CHARACTERS) < Math.abs(best - TARGET_CHARACTERS);
    if (closer && isBoundary(index)) best = index;
  }
  return best;
}

/** The nearer edge of the segment around the target. The end of the window is none: the segment may go on behind it. */
function edgeOf(
  segments: Intl.Segments,
  window: string,
  isBoundary: (at: number) => boolean,
): number | undefined {
  const { index, segment } = segments.containing(TARGET_CHARACTERS)!;
  return [index, index + segment.length]
    .filter((at) => at >= MIN_CHARACTERS && at < window.length && isBoundary(at))
    .toSorted((a, b) => Math.abs(a - TARGET_CHARACTERS) - Math.abs(b - TARGET_CHARACTERS))[0];
}

function isTrail(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
