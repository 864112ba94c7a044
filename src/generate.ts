/** Continues a text with one path, token by token. */
import type { Engine } from "./engine/types.ts";
import { createRandom } from "./random.ts";

export interface GenerateOptions {
  /** Inputs of a sequence, T; longer texts are continued from their last T tokens. */
  sequenceLength: number;
  tokens: number;
  /** 0 takes the likeliest token. */
  temperature: number;
  endOfText: number;
  seed: number;
}

/** Yields token ids until end-of-text or `tokens` of them. `prompt` has at least one token. */
export async function* generate(
  engine: Engine,
  parameters: Float32Array,
  prompt: Int32Array,
  options: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  const { sequenceLength, temperature, endOfText } = options;
  const random = createRandom(options.seed, "generate");
  const text = Array.from(prompt);
  for (let count = 0; count < options.tokens; count++) {
    const window = text.slice(-sequenceLength);
    const tokens = new Int32Array(sequenceLength).fill(endOfText);
    tokens.set(window);
    const logits = await engine.logits(parameters, tokens, Int32Array.of(window.length - 1));
    const next = sample(logits, temperature, random.uniform());
    if (next === endOfText) return;
    text.push(next);
    yield next;
  }
}

function sample(logits: Float32Array, temperature: number, uniform: number): number {
  let best = 0;
  for (const [id, logit] of logits.entries()) if (logit > logits[best]!) best = id;
  if (temperature === 0) return best;
  const weights = logits.map((logit) => Math.exp((logit - logits[best]!) / temperature));
  let left = uniform * weights.reduce((a, b) => a + b, 0);
  for (const [id, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return id;
  }
  return best;
}
