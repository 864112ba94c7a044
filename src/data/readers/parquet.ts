import { isUtf8 } from "node:buffer";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { formatBytes } from "../../run/format.ts";
import { ContentProblem, NOT_UTF8, reasonOf } from "../problem.ts";
import { recordsOfValue } from "./json-lines.ts";
import { CHAT_FIELDS, expectedNames, TEXT_FIELDS } from "./texts-of.ts";
import type { ReaderOptions, RecordOrProblem } from "./types.ts";

/** Parquet is decoded by row group, whose text must fit into memory. */
const MAX_ROW_GROUP_BYTES = 1 << 30;
const MAX_SHOWN = 12;
const utf8 = new TextDecoder();

/** The texts of one column of a Parquet file, which may be nested. Rows count from 0. */
export async function* readParquet(
  path: string,
  { textFields }: ReaderOptions,
): AsyncGenerator<RecordOrProblem> {
  let row = 0;
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = parquetSchema(metadata).children.map((child) => child.element.name);
    const { column, field } = columnOf(columns, textFields);
    for (const group of metadata.row_groups) {
      const rowEnd = row + Number(group.num_rows);
      const chunks = group.columns.filter((chunk) => chunk.meta_data?.path_in_schema[0] === column);
      const size = chunks.reduce(
        (sum, chunk) => sum + Number(chunk.meta_data?.total_uncompressed_size ?? 0),
        0,
      );
      if (size > MAX_ROW_GROUP_BYTES) {
        const limit = formatBytes(MAX_ROW_GROUP_BYTES);
        yield {
          record: String(row),
          problem: `its row group is over ${limit}; write it with smaller row groups`,
        };
        row = rowEnd;
        continue;
      }
      const rows = await parquetReadObjects({
        file,
        metadata,
        columns: [column],
        rowStart: row,
        rowEnd,
        compressors,
        parsers: { stringFromBytes: textOf },
      });
      for (const record of rows) {
        const position = String(row++);
        const value: unknown = record[column];
        if (value instanceof Uint8Array)
          yield { record: position, problem: `the column ${column} ${NOT_UTF8.replace(/^it /, "")}` };
        else if (value === null || value === undefined)
          yield { record: position, problem: `the column ${column} holds no text` };
        else
          for (const found of recordsOfValue({ [column]: value }, position, [field]))
            yield "problem" in found ? { ...found, problem: `the column ${field} holds no text` } : found;
      }
      row = rowEnd;
    }
  } catch (error) {
    yield { record: row === 0 ? "" : String(row), problem: explain(error) };
  }
}

/** A value of a column of texts or of bytes; bytes that are no text stay bytes. */
function textOf(bytes: Uint8Array | undefined): unknown {
  return bytes !== undefined && isUtf8(bytes) ? utf8.decode(bytes) : bytes;
}

/** The first field that a column has, and that column; a field may be a path into it. */
function columnOf(
  columns: readonly string[],
  fields: readonly string[] | undefined,
): { column: string; field: string } {
  for (const field of fields ?? [...TEXT_FIELDS, ...CHAT_FIELDS]) {
    const column = columns.find((name) => name === field || field.startsWith(`${name}.`));
    if (column !== undefined) return { column, field };
  }
  const shown = columns.slice(0, MAX_SHOWN).map((name) => name.slice(0, 40));
  throw new ContentProblem(
    `no column is named ${expectedNames(fields)}; it has ${shown.join(", ")}${columns.length > MAX_SHOWN ? ", …" : ""} (name one with textField)`,
  );
}

function explain(error: unknown): string {
  const reason = reasonOf(error);
  if (error instanceof ContentProblem || (error instanceof Error && "syscall" in error)) return reason;
  const codec = /unsupported compression codec: (\w+)/.exec(reason)?.[1];
  if (codec !== undefined) return `it is packed with ${codec}, which cannot be read; write it with zstd`;
  return /footer/.test(reason)
    ? "its end is not that of a Parquet file, so that it seems to be cut off; fetch it again"
    : `it is damaged (${reason}); fetch it again`;
}
