/** Training for long needs no more memory than training for short. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { test } from "node:test";
import { setImmediate as immediate } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import * as tf from "@tensorflow/tfjs-core";
import { createCompiledExecutor } from "../../../src/engine/compiled.ts";
import { createEagerExecutor } from "../../../src/engine/eager.ts";
import type { Training } from "../../../src/engine/executor.ts";
import type { EngineConfig } from "../../../src/engine/types.ts";
import { INNER_OPTIMIZERS } from "../../../src/model/optimizers.ts";
import { elementsOfPath, initialParameters, modelShape } from "../../../src/model/parameters.ts";
import { BATCH_SIZE, batches, firstBatch, freshState, optimizer, shape, weights } from "./support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const scalars = Float32Array.from(INNER_OPTIMIZERS.adamw.scalars(optimizer, 0.01, 1));

async function oneStep(training: Training, source: Iterator<{ tokens: Int32Array; mask: Float32Array }>) {
  const { tokens, mask } = source.next().value as { tokens: Int32Array; mask: Float32Array };
  await training.run({ count: 1, tokens, mask, scalars });
}

void test("eager training keeps the number of tensors and their bytes, step by step", async () => {
  const config: EngineConfig = { shape, batchSize: BATCH_SIZE, kind: "eager", device: "cpu" };
  const executor = await createEagerExecutor(config);
  const source = batches();
  const idle = tf.memory().numTensors;
  const { step: _, ...vectors } = freshState();
  const training = await executor.openTraining(vectors);
  await oneStep(training, source);
  const { numTensors, numDataBuffers, numBytes } = tf.memory();
  // They are counted, so that one which a step keeps shows after a few.
  for (let step = 0; step < 20; step++) await oneStep(training, source);
  const after = tf.memory();
  assert.deepEqual(
    [after.numTensors, after.numDataBuffers, after.numBytes],
    [numTensors, numDataBuffers, numBytes],
  );
  training.dispose();
  const { tokens, mask } = firstBatch();
  await executor.score(weights(), tokens, mask);
  assert.equal(tf.memory().numTensors, idle);
  await executor.close();
  assert.equal(tf.memory().numTensors, 0);
});

void test("compiled training keeps its memory over 100 calls", async () => {
  // Large enough that one vector kept per call would show: 1.1 million parameters, 4.5 MB a vector.
  const large = modelShape({ ...shape, vocabulary: 4096, width: 128, blocks: 1, heads: 2, hidden: 64 });
  const elements = elementsOfPath(large);
  const config: EngineConfig = { shape: large, batchSize: BATCH_SIZE, kind: "compiled", device: "cpu" };
  const executor = await createCompiledExecutor(config, 2);
  const training = await executor.openTraining({
    parameters: initialParameters(large, 1),
    firstMoment: new Float32Array(elements),
    secondMoment: new Float32Array(elements),
  });
  const source = batches();
  const bytes = async (): Promise<{ external: number; rss: number }> => {
    // What native code holds is let go of by finalizers, which run after a collection, and may keep more until the next.
    for (let times = 0; times < 3; times++) {
      collectGarbage();
      await immediate();
    }
    return process.memoryUsage();
  };
  for (let step = 0; step < 10; step++) await oneStep(training, source);
  const early = await bytes();
  for (let step = 0; step < 100; step++) await oneStep(training, source);
  const late = await bytes();
  assert.ok(late.external - early.external < elements, `external grew by ${late.external - early.external}`);
  assert.ok(late.rss - early.rss < 100 * elements, `resident memory grew by ${late.rss - early.rss}`);
  training.dispose();
  await executor.close();
});
