/** What `create` would read of a corpus, without a run. */
import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import { readDocuments } from "../data/documents.ts";
import { CorpusSurvey, type DuplicateCounts } from "../data/duplicates.ts";
import { SkippedLog } from "../data/skipped.ts";
import { encodeDocument, loadTokenizer } from "../data/tokenizer.ts";
import { trainTokenizer } from "../data/train-tokenizer.ts";
import type { Tokenizer } from "../data/types.ts";

const SHOWN = 3;

export interface InspectInit {
  /** Files, folders and globs. */
  corpus: string[];
  textFields?: string[] | undefined;
  encoding?: string | undefined;
  /** A given `tokenizer.json`; one is trained on the corpus when undefined. */
  tokenizer?: string | undefined;
  /** Entries of the tokenizer that is trained. */
  vocabulary: number;
  onProgress(progress: { stage: "reading" | "tokenizing"; done: number }): void;
}

export interface InspectedCorpus {
  /** Documents that count; of equal ones, one. */
  documents: number;
  /** UTF-16 units of their texts. */
  characters: number;
  /** Their tokens, the end of each included. */
  tokens: number;
  /** Entries of the tokenizer that they were counted with. */
  vocabulary: number;
  duplicates: DuplicateCounts;
  skipped: SkippedLog;
  /** The first three documents. */
  first: { source: string; text: string }[];
}

/**
 * Reads a corpus as `create` does, twice: to find copies and train a tokenizer, and to count tokens. Throws CorpusError
 * for a path that does not exist, and for a tokenizer that cannot be used.
 */
export async function inspectCorpus(init: InspectInit): Promise<InspectedCorpus> {
  const { onProgress } = init;
  const skipped = new SkippedLog();
  const given = init.tokenizer === undefined ? undefined : await openTokenizer(init.tokenizer);
  const survey = new CorpusSurvey();
  const distinct = survey.distinct(
    readDocuments(init.corpus, { ...init, onSkip: (each) => skipped.add(each) }),
    (done) => done % 64 === 0 && onProgress({ stage: "reading", done }),
  );
  const first: InspectedCorpus["first"] = [];
  let characters = 0;
  const texts = (async function* () {
    for await (const document of distinct) {
      characters += document.text.length;
      if (first.length < SHOWN) first.push({ source: document.source, text: document.text });
      yield document;
    }
  })();
  // A tokenizer takes some text: the first document says whether there is any.
  const start = await texts.next();
  if (start.done === true)
    return {
      documents: 0,
      characters: 0,
      tokens: 0,
      vocabulary: given?.vocabulary ?? 0,
      duplicates: { copies: 0, nearCopies: 0 },
      skipped,
      first,
    };
  const whole = (async function* () {
    yield start.value;
    yield* texts;
  })();
  let tokenizer: Tokenizer;
  if (given === undefined) tokenizer = loadTokenizer(JSON.stringify(await trainTokenizer(whole, init)));
  else {
    for await (const document of whole) void document;
    tokenizer = given;
  }
  const surveyed = survey.finish();
  let documents = 0;
  let tokens = 0;
  for await (const { document } of surveyed.pick(readDocuments(init.corpus, { ...init, onSkip() {} }))) {
    tokens += encodeDocument(tokenizer, document.text).length;
    if (++documents % 64 === 0) onProgress({ stage: "tokenizing", done: documents });
  }
  const { vocabulary } = tokenizer;
  return { documents, characters, tokens, vocabulary, duplicates: surveyed.counts, skipped, first };
}

async function openTokenizer(file: string): Promise<Tokenizer> {
  return loadTokenizer(await buffer(createReadStream(file)));
}
