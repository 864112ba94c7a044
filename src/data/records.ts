/** Texts of one corpus file: the formats that Pathweave reads. */
import { createReadStream } from "node:fs";
import path from "node:path";
import { pipeline, type Readable } from "node:stream";
import {
  brotliDecompressSync,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from "node:zlib";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { messageOf } from "../errors.ts";
import type { CorpusFile } from "./files.ts";
import { TextSplitter } from "./split-text.ts";

/** One text of a file. */
export interface TextRecord {
  /** Position in the file: line of a .jsonl file, row of a Parquet file, part of a long text; empty for a whole file. */
  position: string;
  /** Position of the text that it was cut from, which all parts of one text share; `position` when absent. */
  whole?: string;
  text: string;
}

/** A record, or the reason why one could not be used. */
export type RecordOrProblem = TextRecord | { position: string; problem: string };

/** Bytes read at once; a plain text up to this size is judged whole before anything of it is used. */
const CHUNK_BYTES = 1 << 20;
/** A line of a .jsonl file above this is skipped, so that a file without line ends does not fill the memory. */
const MAX_LINE_BYTES = 64 << 20;
/** Parquet is decoded by row group, whose text must fit into memory. */
const MAX_ROW_GROUP_BYTES = 1 << 30;

/**
 * Reads the texts of a file by its extension: `.jsonl`, `.ndjson` (one JSON object or string a line),
 * `.parquet`, and anything else as UTF-8 text; `.gz` and `.zst` are unpacked on the way. Throws what the file system
 * throws; everything that is wrong inside the file is yielded as a problem.
 */
export async function* readRecords(file: CorpusFile, textFields: string[]): AsyncGenerator<RecordOrProblem> {
  const name = file.source.toLowerCase();
  if (name.endsWith(".parquet")) {
    yield* parquetRecords(file, textFields);
    return;
  }
  const packing = path.extname(name);
  const inner =
    packing === ".gz" || packing === ".zst" ? path.extname(name.slice(0, -packing.length)) : packing;
  const bytes = openBytes(file.path, packing);
  yield* inner === ".jsonl" || inner === ".ndjson" ? jsonRecords(bytes, textFields) : plainRecords(bytes);
}

function openBytes(file: string, packing: string): Readable {
  const raw = createReadStream(file, { highWaterMark: CHUNK_BYTES });
  if (packing !== ".gz" && packing !== ".zst") return raw;
  const unpack = packing === ".gz" ? createGunzip({ chunkSize: CHUNK_BYTES }) : createZstdDecompress();
  // Errors of either end reach the reader through `unpack`.
  return pipeline(raw, unpack, () => {});
}

async function* plainRecords(bytes: AsyncIterable<Buffer>): AsyncGenerator<RecordOrProblem> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const splitter = new TextSplitter();
  let part = 0;
  // Parts are held until the next chunk proves to be text, too: nothing is used of a short file that is not.
  let held: string[] = [];
  try {
    for await (const chunk of bytes) {
      if (chunk.includes(0)) throw new Error("it is binary (it contains NUL bytes)");
      const parts = splitter.push(decoder.decode(chunk, { stream: true }));
      for (const text of held) yield { position: String(part++), whole: "", text };
      held = parts;
    }
    held.push(...splitter.push(decoder.decode()), splitter.finish());
  } catch (error) {
    const problem = error instanceof TypeError ? "it is not UTF-8 text" : messageOf(error);
    yield part === 0
      ? { position: "", problem }
      : { position: String(part), problem: `from here on ${problem}` };
    return;
  }
  const whole = part === 0 && held.length === 1;
  for (const text of held) yield { position: whole ? "" : String(part++), whole: "", text };
}

async function* jsonRecords(
  bytes: AsyncIterable<Buffer>,
  textFields: string[],
): AsyncGenerator<RecordOrProblem> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  try {
    for await (const line of linesOf(bytes)) {
      const position = String(++number);
      if (line === undefined) {
        yield { position, problem: `the line is longer than ${MAX_LINE_BYTES >> 20} MiB` };
        continue;
      }
      try {
        const json = decoder.decode(line);
        if (json.trim() !== "") yield { position, ...textOf(JSON.parse(json), textFields) };
      } catch (error) {
        yield { position, problem: error instanceof TypeError ? "it is not UTF-8 text" : messageOf(error) };
      }
    }
  } catch (error) {
    yield { position: number === 0 ? "" : String(number + 1), problem: messageOf(error) };
  }
}

/** Lines without their ends; undefined stands for one that is too long to hold. */
async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer | undefined> {
  let pending: Buffer[] = [];
  let size = 0;
  const add = (piece: Buffer): void => {
    size += piece.byteLength;
    if (size <= MAX_LINE_BYTES) pending.push(piece);
    else pending = [];
  };
  const take = (): Buffer | undefined => {
    const line = size <= MAX_LINE_BYTES ? Buffer.concat(pending) : undefined;
    pending = [];
    size = 0;
    return line;
  };
  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < chunk.byteLength) add(chunk.subarray(start));
  }
  if (size > 0) yield take();
}

function textOf(value: unknown, textFields: string[]): { text: string } | { problem: string } {
  if (typeof value === "string") return { text: value };
  if (typeof value !== "object" || value === null)
    return { problem: "the line is neither an object nor a string" };
  for (const field of textFields) {
    const text: unknown = Reflect.get(value, field);
    if (typeof text === "string") return { text };
  }
  return { problem: `it has no text under ${textFields.join(", ")}` };
}

async function* parquetRecords(file: CorpusFile, textFields: string[]): AsyncGenerator<RecordOrProblem> {
  let row = 0;
  try {
    const buffer = await asyncBufferFromFile(file.path);
    const metadata = await parquetMetadataAsync(buffer);
    const columns = parquetSchema(metadata).children.map((child) => child.element.name);
    const column = textFields.find((field) => columns.includes(field));
    if (column === undefined) {
      yield {
        position: "",
        problem: `no column is named ${textFields.join(", ")}; it has ${columns.join(", ")}`,
      };
      return;
    }
    for (const group of metadata.row_groups) {
      const rowEnd = row + Number(group.num_rows);
      const size = group.columns.find((chunk) => chunk.meta_data?.path_in_schema[0] === column)?.meta_data;
      if (Number(size?.total_uncompressed_size ?? 0) > MAX_ROW_GROUP_BYTES) {
        yield {
          position: String(row),
          problem: "its row group is over 1 GiB; write it with smaller row groups",
        };
        row = rowEnd;
        continue;
      }
      const rows = await parquetReadObjects({
        file: buffer,
        metadata,
        columns: [column],
        rowStart: row,
        rowEnd,
        compressors: {
          GZIP: (input) => gunzipSync(input),
          ZSTD: (input) => zstdDecompressSync(input),
          BROTLI: (input) => brotliDecompressSync(input),
        },
      });
      for (const record of rows) {
        const text: unknown = record[column];
        const position = String(row++);
        yield typeof text === "string" ? { position, text } : { position, problem: `${column} is not text` };
      }
      row = rowEnd;
    }
  } catch (error) {
    yield { position: row === 0 ? "" : String(row), problem: messageOf(error) };
  }
}
