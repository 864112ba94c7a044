import { reasonOf } from "../problem.ts";
import { recordsOf } from "./json-lines.ts";
import { parseJson } from "./parse-json.ts";
import { decodeUtf8 } from "./text.ts";
import { isMessage } from "./texts-of.ts";
import {
  MAX_VALUE_BYTES,
  type ReaderOptions,
  RECORD_SEPARATOR,
  type RecordOrProblem,
  TOO_LONG,
} from "./types.ts";

/**
 * The values of a JSON file: the items of a list, or the values that follow one another. The file is streamed: where
 * a value ends is found here, what it is by JSON.parse.
 */
export async function* readJson(
  bytes: AsyncIterable<Buffer>,
  { textFields }: ReaderOptions,
): AsyncGenerator<RecordOrProblem> {
  const scanner = new ValueScanner();
  let index = 0;
  // A file of one value is that value: it needs no number.
  let first: string | undefined;
  // A list of messages is one chat.
  let list = 0;
  let chat: { messages: string[]; size: number } | undefined;
  const endChat = function* (isWhole: boolean): Generator<RecordOrProblem> {
    if (chat === undefined) return;
    const start = index - chat.messages.length;
    if (isWhole && chat.messages.length > 0)
      yield* recordsOf(`[${chat.messages.join()}]`, scanner.lists === 1 ? "" : String(start), textFields);
    else
      for (const [at, message] of chat.messages.entries())
        yield* recordsOf(message, String(start + at), textFields);
    chat = undefined;
  };
  const read = function* (value: string | undefined): Generator<RecordOrProblem> {
    const isStart = scanner.isList && scanner.lists !== list;
    list = scanner.lists;
    if (isStart || !scanner.isList) yield* endChat(true);
    if (isStart && textFields === undefined) chat = { messages: [], size: 0 };
    if (chat !== undefined && value !== undefined && isMessageText(value)) {
      chat.size += value.length + 1;
      if (chat.size < MAX_VALUE_BYTES) {
        chat.messages.push(value);
        index++;
        return;
      }
    }
    yield* endChat(false);
    const record = String(index++);
    if (value === undefined) yield { record, problem: `the value ${TOO_LONG}; write JSON lines instead` };
    else if (index === 1 && !scanner.isList) first = value;
    else {
      if (first !== undefined) yield* recordsOf(first, "0", textFields);
      first = undefined;
      yield* recordsOf(value, record, textFields);
    }
  };
  try {
    for await (const text of decodeUtf8(bytes)) for (const value of scanner.push(text)) yield* read(value);
    for (const value of scanner.finish()) yield* read(value);
    yield* endChat(scanner.isComplete);
    if (first !== undefined) yield* recordsOf(first, index === 1 ? "" : "0", textFields);
    if (!scanner.isComplete)
      yield { record: String(index), problem: "the file ends within its list; it is cut off" };
  } catch (error) {
    yield* endChat(false);
    if (first !== undefined) yield* recordsOf(first, "0", textFields);
    yield { record: index === 0 ? "" : String(index), problem: reasonOf(error) };
  }
}

function isMessageText(json: string): boolean {
  try {
    return isMessage(parseJson(json));
  } catch {
    return false;
  }
}

/** Finds where the values of a JSON text end. Holds one value at a time. */
class ValueScanner {
  /** Whether the text is one list, whose items are the values. */
  isList = false;
  /** Lists so far whose items were the values. */
  lists = 0;
  #parts: string[] = [];
  #size = 0;
  #depth = 0;
  #inString = false;
  /** Whether the next character stands behind a backslash. */
  #escaped = false;
  #started = false;
  #closed = false;

  get isComplete(): boolean {
    return !this.isList || this.#closed;
  }

  /** Takes more text; yields the values that end in it, undefined for one that is too long. */
  *push(text: string): Generator<string | undefined> {
    let start = 0;
    let at = 0;
    const end = function (this: ValueScanner, to: number): string | undefined {
      this.#add(text.slice(start, to));
      return this.#take();
    }.bind(this);
    if (this.#escaped && text !== "") {
      at = 1;
      this.#escaped = false;
    }
    while (at < text.length) {
      const token = this.#inString ? IN_STRING : OUTSIDE;
      token.lastIndex = at;
      const found = token.exec(text);
      if (found === null) break;
      const character = found[0];
      const position = found.index;
      at = position + 1;
      if (this.#inString) {
        if (character === "\\") {
          this.#escaped = at === text.length;
          at++;
          continue;
        }
        if (character === '"') {
          this.#inString = false;
          if (this.#depth === 0 && !this.isList) {
            yield end(at);
            start = at;
          }
          continue;
        }
      }
      const base = this.isList ? 1 : 0;
      if (character === '"') {
        this.#inString = true;
        this.#started = true;
      } else if (character === RECORD_SEPARATOR) {
        // A record separator starts anew, also after a value that was cut off.
        const rest = end(position);
        if (rest === undefined || rest.trim() !== "") yield rest;
        this.#depth = 0;
        this.#inString = false;
        this.#started = false;
        this.isList = false;
        start = at;
      } else if (character === "{" || character === "[") {
        if (character === "[" && !this.#started && this.#depth === 0) {
          this.isList = true;
          this.lists++;
          start = at;
          this.#take();
        }
        this.#started = true;
        this.#depth++;
      } else if (character === ",") {
        if (this.isList && this.#depth === 1) {
          yield end(position);
          start = at;
        }
      } else {
        this.#depth--;
        if (this.isList && this.#depth === 0) {
          const last = end(position);
          if (last === undefined || last.trim() !== "") yield last;
          start = at;
          this.#closed = true;
          this.isList = false;
          this.#started = false;
        } else if (this.#depth <= base && base === 0) {
          this.#depth = 0;
          yield end(at);
          start = at;
        }
      }
    }
    this.#add(text.slice(start));
  }

  /** What is left at the end. */
  *finish(): Generator<string | undefined> {
    const rest = this.#take();
    if (rest === undefined || rest.trim() !== "") yield rest;
  }

  #add(piece: string): void {
    this.#size += piece.length;
    if (this.#size <= MAX_VALUE_BYTES) this.#parts.push(piece);
    else this.#parts = [];
  }

  #take(): string | undefined {
    const value = this.#size <= MAX_VALUE_BYTES ? this.#parts.join("") : undefined;
    this.#parts = [];
    this.#size = 0;
    return value;
  }
}

const IN_STRING = new RegExp(`["\\\\${RECORD_SEPARATOR}]`, "g");
const OUTSIDE = new RegExp(`["[\\]{},${RECORD_SEPARATOR}]`, "g");
