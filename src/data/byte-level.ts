/**
 * GPT-2's byte-level alphabet: every byte has a visible character, so that a vocabulary of strings
 * covers all text. Same tables as Hugging Face's `ByteLevel` (Radford et al. 2019, released code).
 */
import { translatePattern } from "./oniguruma.ts";

/** How GPT-2 cuts text into pre-tokens: contractions, words, numbers, punctuation, spaces. Covers all text. */
export const PRE_TOKEN = translatePattern(
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
);

/** The character of each byte. Printable Latin-1 stands for itself, the rest is moved to 256 and up. */
export const BYTE_CHARACTERS: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte).map((byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : 256 + countUnprintable(byte)),
);

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function countUnprintable(below: number): number {
  let count = 0;
  for (let byte = 0; byte < below; byte++) if (!isPrintable(byte)) count++;
  return count;
}
