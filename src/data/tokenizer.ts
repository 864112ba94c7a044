import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { CorpusError, messageOf } from "../errors.ts";
import { PRE_TOKEN } from "./byte-level.ts";
import type { Tokenizer } from "./types.ts";

const MAX_VOCABULARY = 1_000_000;
/** Pre-tokens remembered with their ids; natural text repeats itself, so nearly all are found. */
const CACHE_ENTRIES = 1 << 18;
/** Longer pre-tokens are unlikely to come again. */
const MAX_CACHED_CHARACTERS = 64;
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

const idSchema = z
  .int()
  .min(0)
  .max(MAX_VOCABULARY - 1);

/** The keys that are read here; the library checks the rest. */
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(
    z.looseObject({ id: idSchema, content: z.string(), special: z.boolean().default(false) }),
  ),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.union([z.record(z.string(), idSchema), z.array(z.unknown())]),
  }),
});

/** ByteLevel that cuts by GPT-2's expression and adds nothing: what `PRE_TOKEN` reproduces. */
const plainByteLevelSchema = z.object({
  type: z.literal("ByteLevel"),
  add_prefix_space: z.literal(false).optional(),
  use_regex: z.literal(true).optional(),
});

/**
 * Loads a Hugging Face `tokenizer.json` from its bytes or text. Encoding never yields special tokens: their names in
 * a document are ordinary text, so no document can end itself. Throws CorpusError when the file is not a tokenizer
 * that the library reads or has no end-of-text token; so do `encode` and `decode` when the file proves to be faulty.
 */
export function loadTokenizer(json: Uint8Array | string): Tokenizer {
  const { file, encoder, decoder } = open(json);
  const vocabulary = decoder.get_vocab();
  const endOfText = END_OF_TEXT_NAMES.map((name) => vocabulary.get(name)).find((id) => id !== undefined);
  if (endOfText === undefined)
    throw new CorpusError(
      `The tokenizer has no end-of-text token; name one of ${END_OF_TEXT_NAMES.join(", ")}.`,
    );

  const encodeWhole = (text: string): number[] => {
    const { ids } = use("encode", () => encoder.encode(text, { add_special_tokens: false }));
    if (!ids.every(Number.isInteger))
      throw new CorpusError(
        "The tokenizer has no token for a part of the text, and none for what is unknown.",
      );
    return ids;
  };
  const cuts =
    file.normalizer === null &&
    plainByteLevelSchema.safeParse(file.pre_tokenizer).success &&
    file.added_tokens.every((token) => token.special);
  return {
    vocabulary: Math.max(...vocabulary.values()) + 1,
    endOfText,
    encode: cuts ? cachedByPreToken(encodeWhole) : encodeWhole,
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
  file: z.infer<typeof tokenizerSchema>;
  encoder: HuggingFaceTokenizer;
  decoder: HuggingFaceTokenizer;
}

function open(json: Uint8Array | string): OpenTokenizer {
  try {
    const text = typeof json === "string" ? json : new TextDecoder("utf-8", { fatal: true }).decode(json);
    const file = tokenizerSchema.parse(JSON.parse(text));
    const ordinary = { ...file, added_tokens: file.added_tokens.filter((token) => !token.special) };
    return {
      file,
      encoder: new HuggingFaceTokenizer(ordinary, {}),
      decoder: new HuggingFaceTokenizer(file, {}),
    };
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw new CorpusError(`The tokenizer is not a Hugging Face tokenizer.json: ${messageOf(reason)}.`);
  }
}

/**
 * The library looks every merge up as a JSON string. A plain byte-level tokenizer encodes each pre-token by itself, so
 * pre-tokens that were seen before need no library: the same ids, several times as fast.
 */
function cachedByPreToken(encode: (text: string) => number[]): (text: string) => number[] {
  const cache = new Map<string, number[]>();
  return (text) => {
    const ids: number[] = [];
    for (const preToken of text.match(PRE_TOKEN) ?? []) {
      let own = cache.get(preToken);
      if (own === undefined) {
        own = encode(preToken);
        if (preToken.length <= MAX_CACHED_CHARACTERS) {
          if (cache.size === CACHE_ENTRIES) cache.clear();
          cache.set(preToken, own);
        }
      }
      for (const id of own) ids.push(id);
    }
    return ids;
  };
}

/** The token ids of a document: its text and end-of-text. */
export function encodeDocument(tokenizer: Tokenizer, text: string): Int32Array {
  const ids = tokenizer.encode(text);
  ids.push(tokenizer.endOfText);
  return new Int32Array(ids);
}
