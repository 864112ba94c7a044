/** From pre-tokens to ids: the model of a tokenizer, with a memory, and with an eye on what it has no token for. */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { BYTE_CHARACTERS } from "./byte-level.ts";
import { asBytes } from "./pre-tokenizer.ts";
import type { TokenizerFile } from "./tokenizer-support.ts";

/** Pre-tokens remembered with their ids; natural text repeats itself, so nearly all are found. */
const CACHE_ENTRIES = 1 << 18;
/** Longer pre-tokens are unlikely to come again. */
const MAX_CACHED_CHARACTERS = 64;
const NOTHING: string[] = [];

export interface Pieces {
  encode(piece: string): { ids: number[]; lost: string[] };
}

/** @param bytes whether the model's characters stand for bytes */
export function createPieces(file: TokenizerFile, bytes: boolean): Pieces {
  const { model } = file;
  // Cut and normalized text comes in, so the library has only the model to run.
  const plain = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
  };
  const library = new HuggingFaceTokenizer({ ...plain, model }, {});
  const has = (token: string): boolean => Object.hasOwn(model.vocab, token);
  const isWhole = model.byte_fallback === true || (bytes && BYTE_CHARACTERS.every(has));
  const hasUnknown = typeof model.unk_token === "string";
  const forModel = (text: string): string => (bytes ? asBytes(text) : text);
  const cache = new Map<string, { ids: number[]; lost: string[] }>();

  function encode(piece: string): { ids: number[]; lost: string[] } {
    let text = forModel(piece);
    let lost = NOTHING;
    if (!isWhole && !(model.ignore_merges === true && has(text))) {
      lost = Array.from(piece).filter((character) => !Array.from(forModel(character)).every(has));
      // Rust drops such a character before it merges, so that its neighbours meet; the library drops it afterwards.
      if (lost.length > 0 && !hasUnknown) text = Array.from(text).filter(has).join("");
    }
    const ids = text === "" ? [] : library.encode(text, { add_special_tokens: false }).ids;
    return { ids, lost };
  }

  return {
    encode(piece) {
      const known = cache.get(piece);
      if (known !== undefined) return known;
      const result = encode(piece);
      if (piece.length <= MAX_CACHED_CHARACTERS) {
        if (cache.size === CACHE_ENTRIES) cache.clear();
        cache.set(piece, result);
      }
      return result;
    },
  };
}
