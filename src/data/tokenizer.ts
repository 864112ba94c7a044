import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { CorpusError, messageOf } from "../errors.ts";
import { createAddedTokenFinder, type Section } from "./added-tokens.ts";
import { createNormalizer } from "./normalizer.ts";
import { createPieces } from "./pieces.ts";
import { createPreTokenizer } from "./pre-tokenizer.ts";
import { parseTokenizer, type TokenizerFile } from "./tokenizer-support.ts";
import type { Tokenizer } from "./types.ts";

/** Names of the end-of-text token in tokenizers of the field, in order of preference. */
const END_OF_TEXT_NAMES = [
  "<|endoftext|>",
  "<|end_of_text|>",
  "</s>",
  "<eos>",
  "<|eos|>",
  "[EOS]",
  "<|im_end|>",
];

/**
 * Loads a Hugging Face `tokenizer.json` from its bytes or text. Encoding never yields special tokens: their names in
 * a document are ordinary text, so no document can end itself. Otherwise the ids are those of Hugging Face's Rust
 * library (with `encode_special_tokens`), bit by bit: normalizers and pre-tokenizers are run here, since those of its
 * JavaScript library differ, and merges and decoding by the latter.
 *
 * Throws CorpusError when the file is no tokenizer, has a part that is not supported or no end-of-text token; so do
 * `encode` and `decode` when the file proves to be faulty.
 */
export function loadTokenizer(json: Uint8Array | string): Tokenizer {
  const { decoder, split, pieces, hasUnknown } = open(json);
  const vocabulary = decoder.get_vocab();
  const endOfText = END_OF_TEXT_NAMES.map((name) => vocabulary.get(name)).find((id) => id !== undefined);
  if (endOfText === undefined)
    throw new CorpusError(
      `The tokenizer has no end-of-text token; name one of ${END_OF_TEXT_NAMES.join(", ")}.`,
    );
  return {
    vocabulary: Math.max(...vocabulary.values()) + 1,
    endOfText,
    hasUnknown,
    encode: (text, onLoss) =>
      use("encode", () => {
        const ids: number[] = [];
        for (const piece of split(text)) {
          if (typeof piece === "number") {
            ids.push(piece);
            continue;
          }
          const encoded = pieces.encode(piece);
          for (const id of encoded.ids) ids.push(id);
          for (const character of encoded.lost) onLoss?.(character);
        }
        return ids;
      }),
    decode: (ids) =>
      ids.length === 0
        ? ""
        : use("decode", () => decoder.decode(Array.from(ids), { clean_up_tokenization_spaces: false })),
  };
}

/** The library finds some faults of a file only when it is used. */
function use<T>(what: string, task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw new CorpusError(
      `The tokenizer cannot ${what} a text: ${messageOf(error)}. Use another tokenizer.json.`,
    );
  }
}

interface OpenTokenizer {
  decoder: HuggingFaceTokenizer;
  /** The added tokens and pre-tokens of a text. */
  split(text: string): (string | number)[];
  pieces: ReturnType<typeof createPieces>;
  hasUnknown: boolean;
}

function open(json: Uint8Array | string): OpenTokenizer {
  try {
    const text = typeof json === "string" ? json : new TextDecoder("utf-8", { fatal: true }).decode(json);
    const file = parseTokenizer(JSON.parse(text));
    const { cut, bytes } = createPreTokenizer(file.pre_tokenizer);
    return {
      decoder: new HuggingFaceTokenizer(
        { ...file, normalizer: null, pre_tokenizer: null, post_processor: null },
        {},
      ),
      split: createSplitter(file, cut),
      pieces: createPieces(file, bytes),
      hasUnknown: typeof file.model.unk_token === "string",
    };
  } catch (error) {
    if (error instanceof CorpusError) throw error;
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new CorpusError(`The tokenizer is not a Hugging Face tokenizer.json: ${messageOf(reason)}.`);
  }
}

/** Added tokens are looked for in the text as it is, or, where they say so, in the text as it is normalized. */
function createSplitter(
  file: TokenizerFile,
  cut: (text: string, isFirst: boolean) => string[],
): OpenTokenizer["split"] {
  const normalize = createNormalizer(file.normalizer);
  const ordinary = file.added_tokens.filter((token) => !token.special);
  const isNormalized = (normalized: boolean | undefined): boolean => normalized ?? true;
  const findRaw = createAddedTokenFinder(
    ordinary.filter((token) => !isNormalized(token.normalized)),
    (token) => token.content,
  );
  const findNormalized = createAddedTokenFinder(
    ordinary.filter((token) => isNormalized(token.normalized)),
    (token) => normalize(token.content),
  );
  const cutSection = ({ text, id, start }: Section, isFirst: boolean): (string | number)[] =>
    id === undefined ? cut(text, isFirst && start === 0) : [id];
  return (text) => {
    return findRaw(text).flatMap((part) =>
      part.id === undefined
        ? findNormalized(normalize(part.text)).flatMap((section) => cutSection(section, part.start === 0))
        : [part.id],
    );
  };
}

/** The token ids of a document: its text and end-of-text. `onLoss` receives each character without a token. */
export function encodeDocument(
  tokenizer: Tokenizer,
  text: string,
  onLoss?: (character: string) => void,
): Int32Array {
  const ids = tokenizer.encode(text, onLoss);
  ids.push(tokenizer.endOfText);
  return new Int32Array(ids);
}
