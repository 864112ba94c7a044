/** One text of a file. */
export interface TextRecord {
  /** Line, row or item of the file; empty when the text is all of it. */
  record: string;
  text: string;
  /** Which part of its record it is, where a record gives several. */
  part?: string;
}

/** A record, or the reason why one could not be used. */
export type RecordOrProblem = TextRecord | { record: string; problem: string };

export interface ReaderOptions {
  /** Fields, columns or dotted paths that hold text, in order of preference; the usual names when undefined. */
  textFields: readonly string[] | undefined;
}

/** Largest line, value, row or page; readers report and leave out larger ones, so that no file fills the memory. */
export const MAX_VALUE_BYTES = 64 << 20;
export const TOO_LONG = "is longer than 64 MiB";

/** Starts each value of a sequence of JSON texts (RFC 7464). */
export const RECORD_SEPARATOR = "\x1e";
