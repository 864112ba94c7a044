import { createBreath } from "../breath.ts";
import { CorpusError, ManifestError } from "../errors.ts";
import { BYTE_CHARACTERS, PRE_TOKEN } from "./byte-level.ts";
import { findMerges } from "./merges.ts";
import { sampleTexts } from "./sample.ts";
import type { TextDocument } from "./types.ts";

/** The token that ends every document of a tokenizer trained here. */
export const END_OF_TEXT = "<|endoftext|>";

/** End-of-text and one token per byte: what any text needs. */
const SMALLEST_VOCABULARY = 1 + BYTE_CHARACTERS.length;

export interface TrainTokenizerOptions {
  /** Most entries of the vocabulary, end-of-text and the 256 bytes included. A small corpus gives fewer. */
  vocabulary: number;
  /** Bytes of text to learn from; a fixed sample of a larger corpus. @default 8 MiB */
  maxBytes?: number;
  signal?: AbortSignal;
}

/** A Hugging Face `tokenizer.json`, as far as Pathweave writes it. */
export interface TokenizerJson {
  version: "1.0";
  truncation: null;
  padding: null;
  added_tokens: object[];
  normalizer: null;
  pre_tokenizer: object;
  post_processor: null;
  decoder: object;
  model: { type: "BPE"; vocab: Record<string, number>; merges: [string, string][]; [key: string]: unknown };
}

/**
 * Trains a byte-level BPE tokenizer on the documents and returns the `tokenizer.json` object. Reads the stream to
 * its end. Deterministic, independent of the order of the documents, and equal to what Hugging Face's Rust
 * `BpeTrainer` finds on the same sample with `min_frequency` 2. Throws ManifestError for a vocabulary that cannot
 * hold all bytes and CorpusError when there are no documents.
 */
export async function trainTokenizer(
  documents: AsyncIterable<TextDocument> | Iterable<TextDocument>,
  { vocabulary, maxBytes = 8 << 20, signal }: TrainTokenizerOptions,
): Promise<TokenizerJson> {
  if (vocabulary < SMALLEST_VOCABULARY)
    throw new ManifestError(
      `model.vocabulary is ${vocabulary}; a byte-level tokenizer needs at least ${SMALLEST_VOCABULARY}.`,
    );
  const texts = await sampleTexts(documents, maxBytes);
  if (texts.length === 0)
    throw new CorpusError(
      "The corpus has no text to train a tokenizer on; add documents or give a tokenizer.json.",
    );

  // Ids as Hugging Face's trainer gives them: specials, then the alphabet by code point, then merges in order.
  const tokens = [END_OF_TEXT, ...BYTE_CHARACTERS.toSorted()];
  const symbolOf = BYTE_CHARACTERS.map((character) => tokens.indexOf(character));
  const found = await findMerges(
    [...(await countPreTokens(texts, signal))].map(([preToken, count]) => ({
      symbols: Array.from(Buffer.from(preToken), (byte) => symbolOf[byte]!),
      count,
    })),
    tokens.length,
    vocabulary - tokens.length,
    signal,
  );
  const merges = found.map(([left, right]): [string, string] => {
    tokens.push(tokens[left]! + tokens[right]!);
    return [tokens[left]!, tokens[right]!];
  });

  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: END_OF_TEXT,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

async function countPreTokens(texts: Buffer[], signal?: AbortSignal): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const breath = createBreath(signal);
  for (const text of texts) {
    await breath();
    for (const preToken of text.toString().match(PRE_TOKEN) ?? [])
      counts.set(preToken, (counts.get(preToken) ?? 0) + 1);
  }
  return counts;
}
