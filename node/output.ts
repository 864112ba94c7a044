/** What commands print: tables, durations, a progress line, and JSON for programs. */
import { stripVTControlCharacters } from "node:util";
import { createLogUpdate } from "log-update";

export { counted, formatBytes, formatCount } from "../src/run/format.ts";

/** One line without control characters: names that peers choose must not steer the terminal. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\p{Cc}+/gu, " ");
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

/**
 * Rows as lines of aligned columns under a header. A column whose cells are all numbers, with or without
 * a unit, is aligned right.
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [header, ...rows].map((row) => header.map((_, column) => plain(row[column] ?? "")));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const numeric = header.map(
    (_, column) => rows.length > 0 && cells.slice(1).every((row) => /^(-|[-+]?\d.*)?$/.test(row[column]!)),
  );
  return cells.map((row) =>
    row
      .map((cell, column) =>
        numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** `[######----]  60 %` */
export function formatBar(done: number, total: number, width = 20): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0;
  const filled = Math.floor(share * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

export interface Progress extends Disposable {
  /** What is going on now; replaces what was shown. */
  update(text: string): void;
  /** A line that stays. */
  line(text: string): void;
}

/** A stream that lines are written to, such as `process.stderr`. */
export type LineStream = NodeJS.WritableStream & { isTTY?: boolean };

/** Silence on a stream that is no terminal lasts at most this long. */
const PLAIN_MILLISECONDS = 5000;

/**
 * Shows progress: on a terminal in place, elsewhere as one plain line at once and then the latest every
 * 5 seconds, with no control character. Dispose of it when done: the last text stays.
 */
export function createProgress(stream: LineStream): Progress {
  return stream.isTTY === true ? terminalProgress(stream) : plainProgress(stream);
}

function terminalProgress(stream: LineStream): Progress {
  const log = createLogUpdate(stream);
  return {
    update: (text) => log(text.split("\n").map(plain).join("\n")),
    line: (text) => log.persist(plain(text)),
    [Symbol.dispose]: () => log.done(),
  };
}

function plainProgress(stream: LineStream): Progress {
  const started = Date.now();
  let latest: string | undefined;
  let written: string | undefined;
  const write = (text: string): void => {
    stream.write(`${plain(text)}\n`);
    timer.refresh();
  };
  const show = (): void => {
    if (latest === undefined) return;
    write(latest === written ? `${latest} (${formatDuration(Date.now() - started)})` : latest);
    written = latest;
  };
  const timer = setInterval(show, PLAIN_MILLISECONDS);
  timer.unref();
  return {
    update(text) {
      const first = latest === undefined;
      latest = text;
      if (first) show();
    },
    line: write,
    [Symbol.dispose]() {
      clearInterval(timer);
      if (latest !== written) show();
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
