/** A document as read: untokenized. */
export interface TextDocument {
  /** Hash of the text: equal texts have one id, wherever they lie. */
  id: string;
  /** File, relative to the corpus root, and the record and part within it. */
  source: string;
  /** What it was cut from, a file or `file#record`: shared by all parts of one long text and all texts of one record. */
  origin: string;
  text: string;
}

/** A file or record that could not be used, or not in full, and why. */
export interface Skipped {
  /** Relative to the corpus root; a member of an archive is written `books.zip/one.txt`. */
  file: string;
  /** Line, row or item of the file; absent when it is the file itself. */
  record?: string;
  reason: string;
}

/** Text ↔ token ids. */
export interface Tokenizer {
  readonly vocabulary: number;
  /** Id that ends every document. */
  readonly endOfText: number;
  /** Whether a character without a token becomes the unknown token; else it is dropped. */
  readonly hasUnknown: boolean;
  /** `onLoss` receives each character without a token. */
  encode(text: string, onLoss?: (character: string) => void): number[];
  decode(ids: ArrayLike<number>): string;
}

/** Tokenized documents in memory or on disk, in a fixed order. Every document ends with end-of-text. */
export interface TokenizedShard {
  readonly documents: number;
  readonly tokens: number;
  /** Id that every document ends with. */
  readonly endOfText: number;
  /** Token ids of one document, end-of-text included. */
  document(index: number): Int32Array;
  /** Tokens before document `index`; `offset(documents)` is `tokens`. */
  offset(index: number): number;
  /** Tokens [start, end) of all documents, concatenated in order. */
  slice(start: number, end: number): Int32Array;
}

/** Sequences for one step. The same fields as the engine's `Batch`, which lies above this folder. */
export interface TokenBatch {
  /** Token ids, (B, T + 1) row-major: inputs are columns 0..T-1, targets are columns 1..T. */
  tokens: Int32Array;
  /** Weight of each target in the loss, (B, T) row-major; 0 leaves a target out. */
  mask: Float32Array;
}

/** A batch whose rows each belong to one document. */
export interface EvaluationBatch extends TokenBatch {
  /** Which document each row scores, (B): its position among the documents given. */
  documents: Int32Array;
}

/** Where a document goes. */
export type Split = "train" | "validation" | "router";
