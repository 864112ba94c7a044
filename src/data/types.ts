/** A document as read: untokenized. */
export interface TextDocument {
  /** Stable id: hash of source and position within it; the same corpus gives the same ids on any machine. */
  id: string;
  /** File, relative to the corpus root, and the record within it. */
  source: string;
  text: string;
}

/** A file or record that could not be used, and why. */
export interface Skipped {
  source: string;
  reason: string;
}

/** Text ↔ token ids. */
export interface Tokenizer {
  readonly vocabulary: number;
  /** Id that ends every document. */
  readonly endOfText: number;
  encode(text: string): number[];
  decode(ids: ArrayLike<number>): string;
}

/** Tokenized documents in memory or on disk, in a fixed order. Every document ends with end-of-text. */
export interface TokenizedShard {
  readonly documents: number;
  readonly tokens: number;
  /** Token ids of one document. */
  document(index: number): Int32Array;
}

/** Where a document goes. Decided by its id and the seed alone. */
export type Split = "train" | "validation" | "router";
