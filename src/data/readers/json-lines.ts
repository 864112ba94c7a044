import { isUtf8 } from "node:buffer";
import { notUtf8 } from "../encoding.ts";
import { reasonOf } from "../problem.ts";
import { parseJson } from "./parse-json.ts";
import { textsOf } from "./texts-of.ts";
import {
  MAX_VALUE_BYTES,
  type ReaderOptions,
  RECORD_SEPARATOR,
  type RecordOrProblem,
  TOO_LONG,
} from "./types.ts";

/** One JSON value a line. A bad line is a problem of its own. */
export async function* readJsonLines(
  bytes: AsyncIterable<Buffer>,
  { textFields }: ReaderOptions,
): AsyncGenerator<RecordOrProblem> {
  let number = 0;
  try {
    for await (const line of linesOf(bytes)) {
      const record = String(++number);
      if (line === undefined) yield { record, problem: `the line ${TOO_LONG}` };
      else if (!isUtf8(line)) yield { record, problem: notUtf8(line) };
      else {
        // RFC 7464 starts each value with a record separator.
        const text = line.toString().replace(/^\ufeff/, "");
        const json = text.startsWith(RECORD_SEPARATOR) ? text.slice(1) : text;
        if (json.trim() !== "") yield* recordsOf(json, record, textFields);
      }
    }
  } catch (error) {
    yield { record: number === 0 ? "" : String(number + 1), problem: reasonOf(error) };
  }
}

/** The texts of one JSON value. */
export function* recordsOf(
  json: string,
  record: string,
  textFields: readonly string[] | undefined,
): Generator<RecordOrProblem> {
  let value: unknown;
  try {
    value = parseJson(json);
  } catch (error) {
    yield { record, problem: reasonOf(error) };
    return;
  }
  yield* recordsOfValue(value, record, textFields);
}

/** The texts of one parsed value. */
export function* recordsOfValue(
  value: unknown,
  record: string,
  textFields: readonly string[] | undefined,
): Generator<RecordOrProblem> {
  const found = textsOf(value, textFields);
  if ("problem" in found) yield { record, problem: found.problem };
  else if (found.texts.length === 0) yield { record, problem: "it is empty" };
  else if (found.texts.length === 1) yield { record, text: found.texts[0]! };
  else for (const [part, text] of found.texts.entries()) yield { record, part: String(part), text };
}

/** Lines without their ends; undefined stands for one that is too long to hold. */
async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer | undefined> {
  let pending: Buffer[] = [];
  let size = 0;
  const add = (piece: Buffer): void => {
    size += piece.byteLength;
    if (size <= MAX_VALUE_BYTES) pending.push(piece);
    else pending = [];
  };
  const take = (): Buffer | undefined => {
    const line = size <= MAX_VALUE_BYTES ? Buffer.concat(pending) : undefined;
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
