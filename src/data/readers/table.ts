import { pipeline } from "node:stream";
import { type CsvError, parse } from "csv-parse";
import { ContentProblem, reasonOf } from "../problem.ts";
import { decodeUtf8 } from "./text.ts";
import { expectedNames, TEXT_FIELDS } from "./texts-of.ts";
import { MAX_VALUE_BYTES, type ReaderOptions, type RecordOrProblem, TOO_LONG } from "./types.ts";

const DELIMITERS = [",", "\t", ";", "|"];
const QUOTED_CELL = /(?:^|[\t\n])"[^\t"]*"(?:[\t\r\n]|$)/;
const MAX_SHOWN = 8;

/**
 * The texts of a CSV or TSV file: one column of it, under a header. `head` is its start, whose first line says what
 * divides the columns. Row 1 is the first below the header.
 */
export async function* readTable(
  bytes: AsyncIterable<Buffer>,
  head: string,
  { textFields }: ReaderOptions,
): AsyncGenerator<RecordOrProblem> {
  const header = head.trimStart().split("\n", 1)[0]!;
  const count = (delimiter: string): number => header.split(delimiter).length;
  const problems: RecordOrProblem[] = [];
  let number = 0;
  const delimiter = DELIMITERS.toSorted((a, b) => count(b) - count(a))[0]!;
  const parser = parse({
    delimiter,
    // In TSV a quote is a character as any other, but where programs put cells into quotes.
    quote: delimiter !== "\t" || QUOTED_CELL.test(head) ? '"' : null,
    relax_quotes: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: MAX_VALUE_BYTES,
    // The parser counts no rows that it skips, hence the number goes along as the first cell.
    raw: true,
    on_record: (found: unknown): string[] | null => {
      const { raw, record: cells } = found as { raw: string; record: string[] };
      const record = String(number++);
      if (!cells.some((cell) => isMerged(cell, raw))) return [record, ...cells];
      problems.push({ record, problem: "a quote in it is never closed, so that it runs into the next rows" });
      return null;
    },
    on_skip: (error: CsvError | undefined) => {
      problems.push({ record: String(number++), problem: explain(error) });
      return undefined;
    },
  });
  // Errors of the file reach the loop through the parser.
  const rows: AsyncIterable<string[]> = pipeline(decodeUtf8(bytes), parser, () => {});
  let column: number | undefined;
  let done = 0;
  try {
    for await (const [row, ...cells] of rows) {
      column ??= columnOf(cells, textFields);
      if (row !== "0") yield { record: row!, text: cells[column]! };
      done = Number(row) + 1;
      yield* problems.splice(0);
    }
    yield* problems;
  } catch (error) {
    yield { record: done === 0 ? "" : String(done), problem: reasonOf(error) };
  }
}

/** Whether a cell goes over lines though it is not in quotes: it opens with one, and the next one closes nothing. */
function isMerged(cell: string, raw: string): boolean {
  return cell.startsWith('"') && /[\r\n]/.test(cell) && !raw.includes(`"${cell.replaceAll('"', '""')}"`);
}

function columnOf(header: readonly string[], fields: readonly string[] | undefined): number {
  const names = header.map((name) => name.trim());
  const lower = names.map((name) => name.toLowerCase());
  for (const field of fields ?? TEXT_FIELDS) {
    const at = names.includes(field) ? names.indexOf(field) : lower.indexOf(field.toLowerCase());
    if (at !== -1) return at;
  }
  const shown = names.slice(0, MAX_SHOWN).map((name) => name.slice(0, 40));
  throw new ContentProblem(
    `no column is named ${expectedNames(fields)}; its first line has ${shown.join(", ")}${names.length > MAX_SHOWN ? ", …" : ""} ` +
      "(name one with textField)",
  );
}

function explain(error: CsvError | undefined): string {
  switch (error?.code) {
    case "CSV_RECORD_INCONSISTENT_FIELDS_LENGTH":
      return "the row has not as many fields as the header; quote texts with commas or line ends";
    case "CSV_QUOTE_NOT_CLOSED":
      return "a quote in it is never closed, so that the rest of the file is one field";
    case "CSV_MAX_RECORD_SIZE":
      return `the row ${TOO_LONG}, or a quote in it is never closed`;
    default:
      return "the row is not valid CSV";
  }
}
