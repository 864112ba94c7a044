/** Tables that fit the terminal: ids are shortened to ends that tell them apart, and no other word is broken. */
import { stripVTControlCharacters } from "node:util";

const GAP = "  ";
/** Of where output has no width, such as a file or a pipe. */
const DEFAULT_WIDTH = 80;
/** A word of letters and digits that is longer than any word of a language: a peer id, a CID, a hash. */
const ID = /[0-9A-Za-z]{24,}/g;
/** `-`, `12`, `3.5 MiB`, `4 min 05 s`; not an id that begins with digits. */
const NUMBER = /^(-|[-+]?\d[\d.,]*( .*|%)?)?$/;
/** Characters that are left of a shortened id, if they tell it from the others. */
const SHORT_ID = 6;

/** One line without control characters: names that peers choose must not steer the terminal. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\p{Cc}+/gu, " ");
}

/** Columns of standard output. */
export function terminalWidth(): number {
  const { columns } = process.stdout;
  return columns > 0 ? columns : DEFAULT_WIDTH;
}

/** Ids in texts as `…` and an end of each; the ends are as long as it takes to tell all of them apart. */
export function shortenIds(texts: readonly string[]): string[] {
  const ids = [...new Set(texts.flatMap((text) => text.match(ID) ?? []))];
  let length = SHORT_ID;
  while (new Set(ids.map((id) => id.slice(-length))).size < ids.length) length++;
  return texts.map((text) => text.replaceAll(ID, (id) => `…${id.slice(-length)}`));
}

/** A text as lines of at most `width` characters, broken at spaces; a longer word has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.trimEnd().split(/(?<=\S) +/)) {
    if (line === "") line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/** Lines `name  text` with the text wrapped below itself, where a line is too long; without control characters. */
export function wrapRows(lines: readonly string[], width = terminalWidth()): string[] {
  return lines.map(plain).flatMap((line) => {
    const indent = /^\S.*?\s{2,}/.exec(line)?.[0] ?? "";
    const [first, ...rest] = wrap(line.slice(indent.length), Math.max(20, width - indent.length));
    return [indent + first!, ...rest.map((text) => " ".repeat(indent.length) + text)];
  });
}

/**
 * Rows as lines of aligned columns under a header, at most `width` wide where the words allow it: first ids are
 * shortened, then the widest columns are wrapped, but not at no-break spaces, at last a word is cut. A column whose cells are all numbers, with or
 * without a unit, is aligned right.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  width = terminalWidth(),
): string[] {
  let cells = [header, ...rows].map((row) => header.map((_, column) => plain(row[column] ?? "")));
  const numeric = header.map(
    (_, column) => rows.length > 0 && cells.slice(1).every((row) => NUMBER.test(row[column]!)),
  );
  const natural = (): number[] =>
    header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const room = width - GAP.length * (header.length - 1);
  const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
  if (sum(natural()) > room) {
    const short = shortenIds(cells.flat());
    cells = cells.map((row, at) => row.map((_, column) => short[at * header.length + column]!));
  }
  const widths = fit(cells, natural(), room);
  return cells.flatMap((row) => {
    const lines = row.map((cell, column) =>
      wrap(cell, widths[column]!).map((text) => cut(text, widths[column]!)),
    );
    const height = Math.max(...lines.map(({ length }) => length));
    return Array.from({ length: height }, (_, at) =>
      lines
        .map((texts, column) => {
          const text = texts[at] ?? "";
          return numeric[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
        })
        .join(GAP)
        .trimEnd()
        .replaceAll("\u00A0", " "),
    );
  });
}

/** Widths of columns that fit into the room: the widest give way, down to their longest word while that suffices. */
function fit(cells: string[][], natural: number[], room: number): number[] {
  const widths = [...natural];
  const longestWord = widths.map((_, column) =>
    Math.max(1, ...cells.flatMap((row) => row[column]!.split(" ").map(({ length }) => length))),
  );
  for (const least of [longestWord, widths.map(() => 4)])
    for (;;) {
      const over = widths.reduce((a, b) => a + b, 0) - room;
      if (over <= 0) return widths;
      const shrinkable = widths.map((width, column) => (width > least[column]! ? width : 0));
      const widest = Math.max(...shrinkable);
      if (widest === 0) break;
      widths[shrinkable.indexOf(widest)]!--;
    }
  return widths;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
