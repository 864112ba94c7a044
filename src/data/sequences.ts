/** How documents become the fixed-length sequences that a path trains on. */
import { boundedMap } from "../bounded-map.ts";
import { CorpusError } from "../errors.ts";
import { counted } from "../run/format.ts";
import { createRandom } from "../random.ts";
import type { TokenBatch, TokenizedShard } from "./types.ts";

export interface SequenceOptions {
  /** Inputs of a sequence, T. */
  sequenceLength: number;
  /** Fills up a shard that is shorter than one sequence. */
  endOfText: number;
  /** Tokens at a document's start that route it. */
  prefixTokens: number;
  /** Whether the routing prefix is left out of the loss. */
  maskPrefix: boolean;
}

/** One training sequence. */
interface Sequence {
  /** (T + 1) */
  tokens: Int32Array;
  /** (T) */
  mask: Float32Array;
}

/** All sequences of a shard by number. */
export interface Sequences {
  readonly count: number;
  sequence(index: number): Sequence;
}

/** Tokens at the start of a document that are no targets. A document of no more than these is never trained on. */
export function maskedTokens({
  prefixTokens,
  maskPrefix,
}: Pick<SequenceOptions, "prefixTokens" | "maskPrefix">): number {
  // The first token is always masked: it would be predicted from another document.
  return maskPrefix ? Math.max(prefixTokens, 1) : 1;
}

/** The windows of a shard that hold a target, and how many targets they hold together. */
export function usefulWindows(
  shard: Pick<TokenizedShard, "documents" | "tokens" | "offset">,
  options: Omit<SequenceOptions, "endOfText">,
): { windows: number[]; targets: number } {
  const { sequenceLength: T } = options;
  const masked = maskedTokens(options);
  const count = Math.max(1, Math.floor((shard.tokens - 1) / T));
  const windows: number[] = [];
  let targets = 0;
  for (let document = 0; document < shard.documents; document++) {
    // Targets [first, last] of this document; target t lies in window ⌊(t − 1) / T⌋.
    const first = shard.offset(document) + masked;
    const last = Math.min(shard.offset(document + 1) - 1, count * T);
    if (first > last) continue;
    targets += last - first + 1;
    const from = Math.max(Math.floor((first - 1) / T), (windows.at(-1) ?? -1) + 1);
    for (let window = from; window <= Math.floor((last - 1) / T); window++) windows.push(window);
  }
  return { windows, targets };
}

/**
 * Cuts the concatenated documents into windows of T + 1 tokens that overlap by one, so that every token but the first
 * is a target once; a rest shorter than T at the end is not used. A target is masked when it is the first token of its
 * document (nothing before it belongs to it) or, with `maskPrefix`, among the first `prefixTokens`. Windows without
 * any target are left out. Throws CorpusError when none remains.
 */
export function sequences(shard: TokenizedShard, options: SequenceOptions): Sequences {
  const { sequenceLength: T, endOfText } = options;
  const masked = maskedTokens(options);
  const { windows: useful } = usefulWindows(shard, options);
  if (useful.length === 0)
    throw new CorpusError(
      `A shard of ${counted(shard.documents, "document")} and ${counted(shard.tokens, "token")} has nothing to train on after the first ` +
        `${masked} tokens of each document; use a larger corpus, fewer paths or a smaller routing.prefixTokens.`,
    );

  return {
    count: useful.length,
    sequence(index) {
      const window = useful[index];
      if (window === undefined) throw new RangeError(`No sequence ${index} of ${useful.length}.`);
      const start = window * T;
      const end = Math.min(start + T + 1, shard.tokens);
      const tokens = new Int32Array(T + 1).fill(endOfText);
      tokens.set(shard.slice(start, end));
      const mask = new Float32Array(T);
      for (let document = documentAt(shard, start); document < shard.documents; document++) {
        const first = Math.max(shard.offset(document) + masked, start + 1);
        const last = Math.min(shard.offset(document + 1), end);
        if (shard.offset(document) >= end) break;
        if (first < last) mask.fill(1, first - start - 1, last - start - 1);
      }
      return { tokens, mask };
    },
  };
}

/** The document that holds a token, by bisection. */
function documentAt(shard: TokenizedShard, token: number): number {
  let low = 0;
  let high = shard.documents - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (shard.offset(middle) <= token) low = middle;
    else high = middle - 1;
  }
  return low;
}

export interface BatchOptions extends SequenceOptions {
  /** Sequences of a step, B. */
  batchSize: number;
  /** The run's seed, and whatever else tells this path's order from others'. */
  seed: number | string;
  /** Which of `replicas` copies of the path this is; each sees its own part of every epoch. @default 0 */
  replica?: number;
  /** @default 1 */
  replicas?: number;
}

/** Training batches by the number of the step in the whole run. */
export interface Batches {
  /** Sequences of the shard; an epoch. */
  readonly sequences: number;
  /** A pure function of shard, options and step: whoever resumes or takes over a round sees the same data. */
  batchAt(step: number): TokenBatch;
  /** Batches from `firstStep` on, without end. */
  from(firstStep: number): Generator<TokenBatch, never, undefined>;
}

/**
 * Batches in an order that is shuffled anew each epoch. Replicas of a path deal one order out between them, so they
 * never train on the same sequence within an epoch. Throws CorpusError as `sequences` does.
 */
export function createBatches(shard: TokenizedShard, options: BatchOptions): Batches {
  const { sequenceLength: T, batchSize: B, seed, replica = 0, replicas = 1 } = options;
  const all = sequences(shard, options);
  // A batch may straddle an epoch's end, hence two; older ones are made again when asked for.
  const orders = boundedMap<number, number[]>(2);
  const orderOf = (epoch: number): number[] => {
    let order = orders.get(epoch);
    if (order === undefined) {
      order = createRandom(seed, "epoch", epoch).shuffle(
        Array.from({ length: all.count }, (_, index) => index),
      );
      orders.set(epoch, order);
    }
    return order;
  };
  const batchAt = (step: number): TokenBatch => {
    const tokens = new Int32Array(B * (T + 1));
    const mask = new Float32Array(B * T);
    for (let row = 0; row < B; row++) {
      const draw = (step * B + row) * replicas + replica;
      const sequence = all.sequence(orderOf(Math.floor(draw / all.count))[draw % all.count]!);
      tokens.set(sequence.tokens, row * (T + 1));
      mask.set(sequence.mask, row * T);
    }
    return { tokens, mask };
  };
  return {
    sequences: all.count,
    batchAt,
    *from(firstStep) {
      for (let step = firstStep; ; step++) yield batchAt(step);
    },
  };
}
