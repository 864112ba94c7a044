import { hash } from "node:crypto";
import { listFiles } from "./files.ts";
import { reasonOf } from "./problem.ts";
import type { TextRecord } from "./readers/types.ts";
import { readRecords, type RecordOptions } from "./records.ts";
import { cutText } from "./split-text.ts";
import type { Skipped, TextDocument } from "./types.ts";

export interface ReadOptions extends RecordOptions {
  /** Called for every file or record that cannot be used, or not in full. */
  onSkip(skipped: Skipped): void;
}

/** Something to see. Zero-width characters, fillers, marks of byte order and blank Braille are not. */
const VISIBLE = /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800]/u;

/**
 * Reads a corpus as a stream of documents in a fixed order, holding about one file chunk at a time.
 * `patterns` are files, folders and globs. Formats: see `formats.ts`. Texts longer than 8 Ki characters are cut into
 * documents near 4 Ki: see `split-text.ts`.
 *
 * Files and records that cannot be read are reported and left out. Throws CorpusError for a path that does not exist
 * and a pattern that names no file.
 */
export async function* readDocuments(patterns: string[], options: ReadOptions): AsyncGenerator<TextDocument> {
  for (const file of await listFiles(patterns, (skipped) => options.onSkip(skipped))) {
    let empty = true;
    try {
      for await (const record of readRecords(file, options)) {
        empty = false;
        if ("problem" in record) options.onSkip(skippedOf(record, record.problem));
        else if (!VISIBLE.test(record.text)) options.onSkip(skippedOf(record, "it is empty"));
        else yield* documentsOf(record);
      }
      if (empty) options.onSkip({ file: file.source, reason: "it is empty" });
    } catch (error) {
      options.onSkip({ file: file.source, reason: reasonOf(error) });
    }
  }
}

function* documentsOf({ file, record, part, text }: TextRecord & { file: string }): Generator<TextDocument> {
  const origin = record === "" ? file : `${file}#${record}`;
  const numbered = part === undefined ? origin : record === "" ? `${file}#${part}` : `${origin}.${part}`;
  // JSON can smuggle in lone surrogates, which no UTF-8 and hence no tokenizer can express.
  const parts = [...cutText(text.toWellFormed())];
  for (const [index, each] of parts.entries()) {
    if (!VISIBLE.test(each)) continue;
    const source = parts.length === 1 ? numbered : `${numbered}${numbered === file ? "#" : "."}${index}`;
    yield { id: documentId(each), source, origin, text: each };
  }
}

function skippedOf(
  { file, record, part }: { file: string; record: string; part?: string },
  reason: string,
): Skipped {
  const place = [record, part].filter((each) => each !== undefined && each !== "").join(".");
  return place === "" ? { file, reason } : { file, record: place, reason };
}

/** 128 bits of the hash of the text, as hexadecimal. */
function documentId(text: string): string {
  return hash("sha256", text).slice(0, 32);
}
