/** Recognises a file's format: by its content where that is certain, by its name among kinds of text. */

import { type Format, FORMATS, PLAIN_TEXT, SOURCE_CODE } from "./formats.ts";
import { parseJson } from "./readers/parse-json.ts";
import { RECORD_SEPARATOR } from "./readers/types.ts";

/** Lines that tell JSON lines from JSON. */
const SAMPLE_LINES = 16;

/** Bytes at the start of a file that tell its format and its encoding. */
export const HEAD_BYTES = 1 << 16;

/** The ending of a file name, lower case, without the dot; of a name such as `Makefile`, the name. */
export function endingOf(name: string): string {
  const base = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1).toLowerCase();
  return base.slice(base.lastIndexOf(".") + 1);
}

function formatOfEnding(name: string): Format | undefined {
  const ending = endingOf(name);
  return FORMATS.find(({ endings }) => endings.includes(ending));
}

/** Whether `head`, as Latin-1, starts as the entry of a `magic` says. */
function startsWith(head: string, magic: string): boolean {
  // Parts follow one another: "BZh@4 1AY&SY" is BZh at byte 0 and 1AY&SY at byte 4.
  let at = 0;
  return magic.split(/(@\d+ )/).every((part) => {
    const offset = /^@(\d+) $/.exec(part)?.[1];
    if (offset !== undefined) at = Number(offset);
    else if (!head.startsWith(part, at)) return false;
    return true;
  });
}

/** A magic that no text starts with: it is long, or has a byte that is in no text. */
function isCertain(magic: string): boolean {
  const bytes = magic.replaceAll(/@\d+ /g, "");
  return bytes.length >= 5 || /[^\t-\r\x20-\x7e]/.test(bytes);
}

/** What a file is, and whether its name says something else. */
export interface Recognised {
  format: Format;
  /** The format that its name promises, when the content is plain text instead. */
  promised?: Format;
}

/**
 * What a file is. Its content decides where that is certain; its ending decides among kinds of text. `head` are its
 * first bytes, `text` the same decoded; undefined when they are not text.
 */
export function recognise(name: string, head: Buffer, text: string | undefined): Recognised {
  const latin1 = head.subarray(0, 300).toString("latin1");
  const named = formatOfEnding(name);
  const byMagic = FORMATS.find(({ magic }) =>
    magic?.some((entry) => (text === undefined || isCertain(entry)) && startsWith(latin1, entry)),
  );
  // A .docx is a zip and a .jar, too: there the name says more.
  if (byMagic !== undefined)
    return { format: byMagic.reader === "zip" && named?.reader === undefined ? (named ?? byMagic) : byMagic };
  if (text === undefined) return { format: named?.reader === undefined ? (named ?? PLAIN_TEXT) : named };
  if (named === SOURCE_CODE) return { format: named };
  const byStart = FORMATS.find(({ start }) => start?.test(text));
  const maybeJson = named === undefined || named === PLAIN_TEXT || named.reader === "json";
  if (byStart !== undefined && (byStart.reader !== "json" || maybeJson))
    return { format: byStart.reader === "json" ? jsonKind(text, byStart) : byStart };
  if (named?.reader === "json-lines" && isSpread(text)) return { format: formatOfEnding(".json")! };
  if (named?.magic !== undefined) return { format: PLAIN_TEXT, promised: named };
  return { format: named ?? PLAIN_TEXT };
}

/** Whether a JSON text spreads over lines or has record separators, so that it is no JSON lines. */
function isSpread(text: string): boolean {
  const line = text.trimStart().split("\n", 1)[0]!;
  return text.startsWith(RECORD_SEPARATOR) || (line.length < text.length && /[[{,]$/.test(line.trimEnd()));
}

/** JSON lines if each line has a value of its own, though some may be wrong; otherwise JSON. */
function jsonKind(text: string, json: Format): Format {
  const lines = text.trim().split("\n", SAMPLE_LINES);
  const started = lines.filter((line) => line.trimStart().startsWith("{"));
  return started.length >= 2 && 2 * started.filter(isJson).length >= lines.length
    ? formatOfEnding(".jsonl")!
    : json;
}

function isJson(line: string): boolean {
  try {
    parseJson(line);
    return true;
  } catch {
    return false;
  }
}
