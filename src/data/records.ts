/** The texts of one corpus file, whatever its format. */
import { createReadStream } from "node:fs";
import { asUtf8, headText } from "./encoding.ts";
import type { CorpusFile } from "./files.ts";
import type { Format } from "./formats.ts";
import { ContentProblem, reasonOf } from "./problem.ts";
import { withoutFrontMatter } from "./readers/front-matter.ts";
import { declaredEncoding, readHtml } from "./readers/html.ts";
import { readJson } from "./readers/json.ts";
import { readJsonLines } from "./readers/json-lines.ts";
import { readParquet } from "./readers/parquet.ts";
import { readTable } from "./readers/table.ts";
import { readText } from "./readers/text.ts";
import type { RecordOrProblem } from "./readers/types.ts";
import { readZip } from "./readers/zip.ts";
import { endingOf, HEAD_BYTES, recognise } from "./recognise.ts";
import { unpack } from "./unpack/unpack.ts";

export interface RecordOptions {
  /** Fields, columns or dotted paths that hold text, in order of preference; the usual names when undefined. */
  textFields?: readonly string[] | undefined;
  /** WHATWG name of the encoding of files that are neither UTF-8 nor UTF-16. */
  encoding?: string | undefined;
}

/** A record of a file, or of a member of an archive. */
export type FileRecord = RecordOrProblem & { file: string };

/** Bytes read at once; a plain text up to this size is judged whole before anything of it is used. */
const CHUNK_BYTES = 1 << 20;
/** A .txt.gz.zst is odd; a file that is packed more often is hostile. */
const MAX_PACKINGS = 2;

/**
 * Reads the texts of a file as the table of formats says. Throws what the file system throws; everything that is wrong
 * inside the file is yielded as a problem.
 */
export async function* readRecords(file: CorpusFile, options: RecordOptions): AsyncGenerator<FileRecord> {
  const raw = createReadStream(file.path, { highWaterMark: CHUNK_BYTES });
  try {
    const content = { file: file.source, name: file.source, path: file.path, bytes: raw, packings: 0 };
    yield* readContent(content, options);
  } finally {
    raw.destroy();
  }
}

interface Content {
  /** What records are named after. */
  file: string;
  /** The name without the endings of what it was unpacked from. */
  name: string;
  /** Where it lies on this disk, unless it was unpacked on the way. */
  path?: string;
  bytes: AsyncIterable<Buffer>;
  packings: number;
}

async function* readContent(content: Content, options: RecordOptions): AsyncGenerator<FileRecord> {
  const { file, name } = content;
  const problem = (reason: string): FileRecord => ({ file, record: "", problem: reason });
  let found;
  try {
    const { head, bytes } = await peek(content.bytes);
    found = { head, bytes, text: headText(head) };
  } catch (error) {
    if (isOfFileSystem(error)) throw error;
    yield problem(reasonOf(error));
    return;
  }
  const { head, bytes, text } = found;
  const { format, promised } = recognise(name, head, text);
  if (promised !== undefined && !isPacking(promised))
    yield problem(
      `its name says ${promised.name}, but it is plain text; rename it to .txt if that is wanted`,
    );
  else if (promised !== undefined)
    yield* readContent({ ...content, bytes, name: withoutEnding(name) }, options);
  else if (format.reader === undefined)
    yield problem(`it is ${format.name}, which is not read; ${format.advice}`);
  else if (isPacking(format)) yield* readPacked({ ...content, bytes }, format, options);
  else if (format.reader === "zip") yield* readMembers(content, options);
  else
    for await (const record of readFormat(format, { ...content, bytes }, head, text ?? "", options))
      yield { file, ...record };
}

function readFormat(
  format: Format,
  { path, bytes }: Content,
  head: Buffer,
  text: string,
  { textFields, encoding }: RecordOptions,
): AsyncIterable<RecordOrProblem> | Iterable<RecordOrProblem> {
  const options = { textFields };
  const declared = format.reader === "html" ? declaredEncoding(text) : undefined;
  const utf8 = asUtf8(bytes, head, declared ?? encoding);
  switch (format.reader) {
    case "markdown":
      return readText(withoutFrontMatter(utf8));
    case "json":
      return readJson(utf8, options);
    case "json-lines":
      return readJsonLines(utf8, options);
    case "table":
      return readTable(utf8, text, options);
    case "html":
      return readHtml(withoutFrontMatter(utf8));
    case "parquet":
      return path === undefined
        ? [{ record: "", problem: "it is Parquet inside another file; unpack that first" }]
        : readParquet(path, options);
    default:
      return readText(utf8);
  }
}

async function* readPacked(
  content: Content,
  format: Format,
  options: RecordOptions,
): AsyncGenerator<FileRecord> {
  const { file, bytes, packings, path: _, ...rest } = content;
  const reports: string[] = [];
  if (packings === MAX_PACKINGS)
    reports.push(`it is packed more than ${MAX_PACKINGS} times; unpack it first`);
  else {
    const name = format.endings.includes(endingOf(rest.name)) ? withoutEnding(rest.name) : rest.name;
    const unpacked = unpack(format.reader as "gzip", bytes, (report) => reports.push(report));
    yield* readContent({ file, name, bytes: unpacked, packings: packings + 1 }, options);
  }
  for (const problem of reports) yield { file, record: "", problem };
}

async function* readMembers(
  { file, path, packings }: Content,
  options: RecordOptions,
): AsyncGenerator<FileRecord> {
  if (path === undefined) {
    yield { file, record: "", problem: "it is a zip inside another file; unpack that first" };
    return;
  }
  for await (const member of readZip(path)) {
    const label = member.name === "" ? file : `${file}/${member.name}`;
    if ("problem" in member) yield { file: label, record: "", problem: member.problem };
    else {
      let empty = true;
      const content = { file: label, name: member.name, bytes: member.bytes, packings };
      for await (const record of readContent(content, options)) {
        empty = false;
        yield record;
      }
      if (empty) yield { file: label, record: "", problem: "it is empty" };
    }
  }
}

function isPacking({ reader }: Format): boolean {
  return reader === "gzip" || reader === "zstd" || reader === "bzip2";
}

function withoutEnding(name: string): string {
  return name.slice(0, name.length - endingOf(name).length - 1);
}

function isOfFileSystem(error: unknown): boolean {
  return !(error instanceof ContentProblem) && error instanceof Error && "syscall" in error;
}

/** The first bytes of a stream, and the whole stream. */
async function peek(bytes: AsyncIterable<Buffer>): Promise<{ head: Buffer; bytes: AsyncIterable<Buffer> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let size = 0;
  let failure: { error: unknown } | undefined;
  try {
    while (size < HEAD_BYTES) {
      const { done, value } = await iterator.next();
      if (done === true) break;
      first.push(value);
      size += value.byteLength;
    }
  } catch (error) {
    // A cut file may still have texts before the cut.
    if (size === 0) throw error;
    failure = { error };
  }
  const head = first.length === 1 ? first[0]! : Buffer.concat(first);
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield head;
    if (failure !== undefined) throw failure.error;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  return { head, bytes: whole() };
}
