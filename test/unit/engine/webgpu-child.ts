/** Run by `webgpu.test.ts` with a Vulkan device on its library path: prints what WebGPU computes. */
import { firstBatch, freshState, lossesOf, normsOf, records, shape, tinyEngine } from "./support.ts";

const engine = await tinyEngine({ device: "webgpu", stepsPerCall: 4 });
const all = await records(engine, freshState(), Number(process.argv[2]));
const { parameters } = freshState();
const batch = firstBatch(2);
const tokens = batch.tokens.slice(0, 2 * shape.sequenceLength);
const places = Int32Array.of(4, 9);
const result = {
  name: engine.name,
  losses: lossesOf(all),
  norms: normsOf(all),
  score: [...(await engine.score(parameters, batch))],
  logits: [...(await engine.logits(parameters, tokens, places))],
  features: [...(await engine.features(parameters, tokens, places))],
};
await engine.close();
process.stdout.write(JSON.stringify(result));
