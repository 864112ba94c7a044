import { hash } from "node:crypto";
import { messageOf } from "../errors.ts";
import { listFiles } from "./files.ts";
import { readRecords } from "./records.ts";
import type { Skipped, TextDocument } from "./types.ts";

/** Names under which data sets usually keep their text, in order of preference. */
export const TEXT_FIELDS = ["text", "content", "raw_content", "document", "body", "article", "code"];

export interface ReadOptions {
  /** Called for every file or record that cannot be used. */
  onSkip(skipped: Skipped): void;
  /** Fields or columns of records that hold text; the first present is used. @default TEXT_FIELDS */
  textFields?: string[];
}

/**
 * Reads a corpus as a stream of documents in a fixed order, holding about one file chunk at a time.
 * `patterns` are files, folders and globs. Formats: see `readRecords`. Plain texts longer than 8 Ki characters are
 * cut into documents near 4 Ki at headings, blank lines, lines or sentences.
 *
 * Binary, empty and unreadable files and records are reported and skipped. Throws CorpusError for a
 * path that does not exist and a pattern that names no file.
 */
export async function* readDocuments(patterns: string[], options: ReadOptions): AsyncGenerator<TextDocument> {
  const textFields = options.textFields ?? TEXT_FIELDS;
  for (const file of await listFiles(patterns, (skipped) => options.onSkip(skipped))) {
    let empty = true;
    try {
      for await (const record of readRecords(file, textFields)) {
        empty = false;
        const place = (position: string): string =>
          position === "" ? file.source : `${file.source}#${position}`;
        const source = place(record.position);
        if ("problem" in record) options.onSkip({ source, reason: record.problem });
        else if (record.text.trim() === "") options.onSkip({ source, reason: "it is empty" });
        // JSON can smuggle in lone surrogates, which no UTF-8 and hence no tokenizer can express.
        else {
          const origin = place(record.whole ?? record.position);
          const text = record.text.toWellFormed();
          yield { id: documentId(text), source, origin, text };
        }
      }
      if (empty) options.onSkip({ source: file.source, reason: "it is empty" });
    } catch (error) {
      options.onSkip({ source: file.source, reason: messageOf(error) });
    }
  }
}

/** 128 bits of the hash of the text, as hexadecimal. */
function documentId(text: string): string {
  return hash("sha256", text).slice(0, 32);
}
