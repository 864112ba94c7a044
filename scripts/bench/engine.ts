/**
 * How fast and how large training is: `npm run bench:engine [-- --json] [--threads N] [--steps N] [--no-wasm]`.
 *
 * Width 256, 6 blocks, vocabulary 4096, batch 8 × 256, f32. Speeds are compared within one run only: with the best
 * single matrix product that ONNX Runtime reaches here, and with the same network on the tfjs WASM backend.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { createEngine } from "../../src/engine/engine.ts";
import { GraphBuilder } from "../../src/engine/graph.ts";
import { encodeModel } from "../../src/engine/onnx.ts";
import { deviceTensor, loadProgram } from "../../src/engine/runtime.ts";
import type { Batch, EngineConfig, TrainState } from "../../src/engine/types.ts";
import { initialParameters, modelShape } from "../../src/model/parameters.ts";
import { createRandom } from "../../src/random.ts";

const { values: flags } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    threads: { type: "string" },
    steps: { type: "string", default: "12" },
    "no-wasm": { type: "boolean", default: false },
  },
});
const threads = Number(flags.threads ?? availableParallelism());
const steps = Number(flags.steps);
const batchSize = 8;
const shape = modelShape({
  vocabulary: 4096,
  sequenceLength: 256,
  width: 256,
  blocks: 6,
  heads: 4,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
});
const tokensPerStep = batchSize * shape.sequenceLength;
const optimizer = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 };

/** Multiply-adds of forward and backward count two each; attention as computed, without skipping the future. */
function flopsPerStep(): number {
  const { width, hidden, blocks, vocabulary, sequenceLength } = shape;
  const weights = blocks * (4 * width * width + 3 * width * hidden) + vocabulary * width;
  return tokensPerStep * (6 * weights + 12 * blocks * sequenceLength * width);
}

function* randomBatches(): Generator<Batch> {
  const random = createRandom("bench");
  for (;;)
    yield {
      tokens: Int32Array.from({ length: batchSize * (shape.sequenceLength + 1) }, () =>
        random.integer(shape.vocabulary),
      ),
      mask: new Float32Array(tokensPerStep).fill(1),
    };
}

/** Milliseconds of each step; the first call, which compiles, is left out where there are more. */
async function timeSteps(config: Pick<EngineConfig, "kind" | "device">, count: number): Promise<number[]> {
  const engine = await createEngine({ shape, batchSize, threads, stepsPerCall: 1, ...config });
  try {
    const parameters = initialParameters(shape, 0);
    const zeros = (): Float32Array => new Float32Array(parameters.length);
    const state: TrainState = { parameters, firstMoment: zeros(), secondMoment: zeros(), step: 0 };
    const milliseconds: number[] = [];
    const options = { firstStep: 0, steps: count, learningRate: () => 1e-3, optimizer };
    for await (const record of engine.train(state, randomBatches(), options))
      milliseconds.push(record.milliseconds);
    return count > 1 ? milliseconds.slice(1) : milliseconds;
  } finally {
    await engine.close();
  }
}

/** Best GFLOP/s of one product (m, k) × (k, n). */
async function productSpeed(m: number, k: number, n: number): Promise<number> {
  const graph = new GraphBuilder("product ");
  graph.input("a", "float32", [m, k]);
  graph.input("b", "float32", [k, n]);
  graph.output(graph.node("MatMul", ["a", "b"]), "float32", [m, n]);
  const model = graph.finish();
  const output = model.outputs[0]!.name;
  const program = await loadProgram(encodeModel(model), "cpu", threads);
  const inputs = {
    a: deviceTensor("float32", new Float32Array(m * k).fill(0.5), [m, k]),
    b: deviceTensor("float32", new Float32Array(k * n).fill(0.5), [k, n]),
  };
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 12; run++) {
    const start = performance.now();
    await program.run(inputs, { [output]: null });
    best = Math.min(best, performance.now() - start);
  }
  await program.release();
  return (2 * m * k * n) / best / 1e6;
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const say = (line: string): void => void (flags.json ? process.stderr : process.stdout).write(`${line}\n`);

const compiled = median(await timeSteps({ kind: "compiled", device: "cpu" }, steps));
const peakRssBytes = process.resourceUsage().maxRSS * 1024;
const gflops = flopsPerStep() / compiled / 1e6;
const tokensPerSecond = (1000 * tokensPerStep) / compiled;
say(`compiled-cpu, ${threads} threads: ${compiled.toFixed(0)} ms a step (median of ${steps - 1})`);
say(
  `  ${Math.round(tokensPerSecond)} tokens/s, ${gflops.toFixed(1)} GFLOP/s, peak memory ${Math.round(peakRssBytes / 2 ** 20)} MiB`,
);

let gemmGflops = 0;
for (const [m, k, n] of [
  [1024, 1024, 1024],
  [2048, 2048, 2048],
  [tokensPerStep, shape.width, shape.vocabulary],
  [tokensPerStep, shape.width, shape.hidden],
] as const)
  gemmGflops = Math.max(gemmGflops, await productSpeed(m, k, n));
const gemmFraction = gflops / gemmGflops;
say(
  `best matrix product: ${gemmGflops.toFixed(1)} GFLOP/s; the step reaches ${gemmFraction.toFixed(2)} of it`,
);

let wasmRatio: number | undefined;
if (!flags["no-wasm"]) {
  say("one step on the tfjs WASM backend (this takes a minute or two)");
  const [wasm] = await timeSteps({ kind: "eager", device: "wasm" }, 1);
  wasmRatio = wasm! / compiled;
  say(`eager-wasm: ${(wasm! / 1000).toFixed(1)} s a step; compiled is ${wasmRatio.toFixed(0)} times as fast`);
}
if (flags.json)
  process.stdout.write(
    `${JSON.stringify({ tokensPerSecond, gflops, gemmGflops, gemmFraction, wasmRatio, peakRssBytes, threads })}\n`,
  );
