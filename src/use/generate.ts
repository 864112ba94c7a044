/** Continues a text with one path, token by token. */
import type { Engine } from "../engine/types.ts";
import { createRandom } from "../random.ts";
import { sampleToken, type SamplingOptions } from "./sampling.ts";

export interface GenerateOptions extends SamplingOptions {
  /** Inputs of a sequence, T; longer texts are continued from their last T tokens. */
  sequenceLength: number;
  /** Most tokens that are written. */
  tokens: number;
  endOfText: number;
  seed: number;
  signal?: AbortSignal;
}

/**
 * Yields token ids until end-of-text, or `tokens` of them, or an abort. The same arguments give the same ids. An empty
 * prompt begins a document: what stands before every document is end-of-text.
 */
export async function* generate(
  engine: Engine,
  parameters: Float32Array,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  const { sequenceLength, endOfText, signal } = options;
  const random = createRandom(options.seed, "generate");
  const text = prompt.length === 0 ? [endOfText] : Array.from(prompt);
  for (let count = 0; count < options.tokens; count++) {
    if (signal?.aborted === true) return;
    const window = text.slice(-sequenceLength);
    const tokens = new Int32Array(sequenceLength).fill(endOfText);
    tokens.set(window);
    const logits = await engine.logits(parameters, tokens, Int32Array.of(window.length - 1));
    const next = sampleToken(logits, options, random.uniform());
    if (next === endOfText) return;
    text.push(next);
    yield next;
  }
}
