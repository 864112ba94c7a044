import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Engine } from "../../../src/engine/types.ts";
import { generate, type GenerateOptions } from "../../../src/use/generate.ts";
import { shape, tinyEngine, weights } from "../engine/support.ts";

const END = 0;
const parameters = weights();
let engine: Engine;

before(async () => {
  engine = await tinyEngine({ batchSize: 1 });
});
after(() => engine.close());

async function ids(prompt: number[], options: Partial<GenerateOptions> = {}): Promise<number[]> {
  const all: number[] = [];
  for await (const id of generate(engine, parameters, prompt, {
    sequenceLength: shape.sequenceLength,
    tokens: 30,
    temperature: 1,
    topP: 1,
    endOfText: END,
    seed: 3,
    ...options,
  }))
    all.push(id);
  return all;
}

/** The likeliest token after a text that fits the window. */
async function likeliest(text: number[]): Promise<number> {
  const tokens = new Int32Array(shape.sequenceLength);
  tokens.set(text);
  const logits = await engine.logits(parameters, tokens, Int32Array.of(text.length - 1));
  return logits.indexOf(Math.max(...logits));
}

test("temperature 0 goes on with the likeliest token, also over the end of the window", async () => {
  const written = await ids([5, 6, 7], { temperature: 0, tokens: 20 });
  assert.ok(written.length > shape.sequenceLength - 3, "it goes on over the window");
  const text = [5, 6, 7];
  for (const id of written) {
    assert.equal(id, await likeliest(text.slice(-shape.sequenceLength)));
    text.push(id);
  }
});

test("the same seed writes the same, and a longer text begins alike", async () => {
  const first = await ids([5, 6, 7], { tokens: 12 });
  assert.ok(first.length > 0);
  assert.deepEqual(await ids([5, 6, 7], { tokens: 12 }), first);
  const longer = await ids([5, 6, 7], { tokens: 24 });
  assert.deepEqual(longer.slice(0, first.length), first);
  assert.notDeepEqual(await ids([5, 6, 7], { tokens: 12, seed: 4 }), first);
});

test("the text ends before end-of-text, and without it after so many tokens", async () => {
  const [next] = await ids([5, 6, 7], { temperature: 0, tokens: 1 });
  assert.deepEqual(await ids([5, 6, 7], { temperature: 0, endOfText: next!, tokens: 10 }), []);
  assert.equal((await ids([5, 6, 7], { temperature: 0, tokens: 4 })).length, 4);
});

test("an empty prompt is what stands before a document: end-of-text", async () => {
  const options = { temperature: 0, tokens: 6 };
  const begun = await ids([], options);
  assert.ok(begun.length > 0);
  assert.deepEqual(begun, await ids([END], options));
});

test("an abort ends the text after the token that is under way", async () => {
  const controller = new AbortController();
  const written: number[] = [];
  for await (const id of generate(engine, parameters, [5], {
    sequenceLength: shape.sequenceLength,
    tokens: 1000,
    temperature: 1,
    topP: 0.9,
    endOfText: END,
    seed: 1,
    signal: controller.signal,
  })) {
    written.push(id);
    controller.abort();
  }
  assert.equal(written.length, 1);
});
