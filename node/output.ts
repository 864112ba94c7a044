/** What commands print: tables, durations, a progress line, and JSON for programs. */
import { createLogUpdate } from "log-update";
import { plain } from "./table.ts";

export { formatTable, plain, wrapRows } from "./table.ts";
export { counted, formatBytes, formatCount } from "../src/run/format.ts";

/** A part of a longer text without what could steer the terminal; its line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]/gu, "");
}

function two(n: number): string {
  return String(n).padStart(2, "0");
}

/** `450 ms`, `12.3 s`, `4 min 05 s`, `2 h 07 min`, `3 d 04 h`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** A number in at most `digits` decimals, or `-` when there is none. */
export function formatNumber(value: number | undefined, digits = 3): string {
  return value === undefined || !Number.isFinite(value) ? "-" : value.toFixed(digits);
}

/** `[######----]  60 %` */
export function formatBar(done: number, total: number, width = 20): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total || 0)) : 0;
  const filled = Math.floor(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

export interface Progress extends Disposable {
  /** What is going on now; replaces what was shown. Undefined when nothing is, so that nothing outdated is repeated. */
  update(text: string | undefined): void;
  /** A line that stays. */
  line(text: string): void;
}

/** A stream that lines are written to, such as `process.stderr`. */
export type LineStream = NodeJS.WritableStream & { isTTY?: boolean };

/** Silence lasts at most this long. */
const PULSE_MILLISECONDS = 5000;
/** Steps that follow faster are not all shown where nothing can be replaced. */
const STEP_MILLISECONDS = 500;

/**
 * Shows progress: on a terminal in place, elsewhere as one plain line at once and then the latest every 5 seconds, with
 * no control character. What stays the same for 5 seconds says since when. Dispose of it when done: the last text stays.
 */
export function createProgress(stream: LineStream): Progress {
  return stream.isTTY === true ? terminalProgress(stream) : plainProgress(stream);
}

/** The first word of a text names the step: "reading: 64 documents" goes on with "reading: 128 documents". */
function stepOf(text: string | undefined): string | undefined {
  return text?.split(" ", 1)[0];
}

/** The latest text, with its age once that is worth a word. */
class Latest {
  text: string | undefined;
  #since = 0;

  update(text: string | undefined): void {
    if (text !== this.text) this.#since = Date.now();
    this.text = text;
  }

  get age(): number {
    return Date.now() - this.#since;
  }

  withAge(): string {
    return `${this.text} (for ${formatDuration(this.age)})`;
  }
}

function terminalProgress(stream: LineStream): Progress {
  const log = createLogUpdate(stream);
  const latest = new Latest();
  const show = (): void => {
    const text = latest.age < PULSE_MILLISECONDS ? latest.text : latest.withAge();
    if (latest.text === undefined) log.clear();
    else log(text!.split("\n").map(plain).join("\n"));
  };
  const timer = setInterval(() => latest.text === undefined || show(), 1000);
  timer.unref();
  let disposed = false;
  return {
    update(text) {
      latest.update(text);
      show();
    },
    line: (text) => log.persist(plain(text)),
    [Symbol.dispose]() {
      clearInterval(timer);
      if (!disposed) log.done();
      disposed = true;
    },
  };
}

function plainProgress(stream: LineStream): Progress {
  const latest = new Latest();
  let written: string | undefined;
  let wroteAt = Number.NEGATIVE_INFINITY;
  const write = (text: string): void => {
    wroteAt = Date.now();
    stream.write(`${plain(text)}\n`);
    timer.refresh();
  };
  const show = (): void => {
    if (latest.text === undefined) return;
    write(latest.text === written ? latest.withAge() : latest.text);
    written = latest.text;
  };
  const timer = setInterval(show, PULSE_MILLISECONDS);
  timer.unref();
  return {
    update(text) {
      const first = latest.text === undefined && text !== written;
      latest.update(text);
      // Another step says so at once, unless steps follow fast.
      if (first || (stepOf(text) !== stepOf(written) && Date.now() - wroteAt >= STEP_MILLISECONDS)) show();
    },
    line: write,
    [Symbol.dispose]() {
      clearInterval(timer);
      if (latest.text !== written) show();
    },
  };
}

/**
 * One object as one line of JSON, for `--json`: the last line of a command. CIDs are their text, bytes are
 * base64, and bigints are text.
 */
export function formatJson(value: object): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, converted: unknown) {
    // The second argument has gone through toJSON, which loses what CIDs and buffers were.
    const original = this[key];
    if (original instanceof Uint8Array) return Buffer.from(original).toString("base64");
    if (typeof original === "bigint") return String(original);
    if (original instanceof Map) return Object.fromEntries(original);
    return isCid(original) ? String(original) : converted;
  });
}

function isCid(value: unknown): value is { toString(): string } {
  return typeof value === "object" && value !== null && "asCID" in value && value.asCID === value;
}
