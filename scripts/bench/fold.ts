/**
 * Speed of the outer update on one core: encoding, decoding and folding of outer gradients.
 *
 *     node scripts/bench/fold.ts [--elements 4000000] [--contributions 8] [--json]
 */
import { parseArgs } from "node:util";
import { runConfigSchema } from "../../src/objects/config.ts";
import { rawBlock } from "../../src/objects/object.ts";
import { decodeTensors, encodeTensors } from "../../src/outer/codec.ts";
import { CODECS } from "../../src/outer/codecs.ts";
import { createFold } from "../../src/outer/fold.ts";
import type { KnownContribution } from "../../src/outer/types.ts";
import { createRandom } from "../../src/random.ts";

const { values: options } = parseArgs({
  options: {
    elements: { type: "string", default: "4000000" },
    contributions: { type: "string", default: "8" },
    json: { type: "boolean", default: false },
  },
});
const elements = Number(options.elements);
const count = Number(options.contributions);

interface Measurement {
  what: string;
  /** Median of five runs. */
  seconds: number;
  /** Of binary32 numbers in or out. */
  megabytesPerSecond: number;
  elementsPerSecond: number;
}

function measure(what: string, vectors: number, run: () => void): Measurement {
  run();
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    run();
    return (performance.now() - start) / 1000;
  });
  const seconds = times.toSorted((a, b) => a - b)[2]!;
  const elementsPerSecond = (vectors * elements) / seconds;
  return { what, seconds, megabytesPerSecond: (4 * elementsPerSecond) / 1e6, elementsPerSecond };
}

const random = createRandom("bench fold");
const delta = Float32Array.from({ length: elements }, () => 0.01 * random.normal());
const measurements: Measurement[] = [];
for (const codec of Object.keys(CODECS)) {
  const bytes = encodeTensors(delta, codec);
  measurements.push(measure(`encode ${codec}`, 1, () => void encodeTensors(delta, codec)));
  measurements.push(measure(`decode ${codec}`, 1, () => void decodeTensors(bytes, codec, elements)));
}

const cid = rawBlock(new Uint8Array()).cid;
const contributions = Array.from({ length: count }, (_, path): KnownContribution => {
  const named = { run: cid, module: "lower/0", bases: [{ module: "lower/0", version: cid }], base: cid };
  const metadata = { ...named, work: "train" as const, round: 0, path, replica: 0, delta: cid };
  return {
    ...metadata,
    tokens: 1,
    steps: 1,
    loss: 1,
    cid: rawBlock(Uint8Array.of(path)).cid,
    signer: "bench",
  };
});
const parent = { parameters: delta, momentum: delta };
for (const clipNorm of [null, 1]) {
  const { outer } = runConfigSchema.parse({
    name: "bench",
    grid: [count],
    levels: [{ name: "all", parts: ["embedding", "blocks 0-3", "head"], choose: 0 }],
    outer: { clipNorm },
  });
  measurements.push(
    measure(`fold of ${count}${clipNorm === null ? "" : ", clipped"}`, count, () => {
      const fold = createFold({ parent, contributions, weightOf: ({ path }) => 1000 + path, outer });
      for (const _ of fold.order) fold.add(delta);
      fold.finish();
    }),
  );
}

if (options.json) {
  process.stdout.write(`${JSON.stringify({ elements, contributions: count, measurements }, null, 2)}\n`);
} else {
  process.stdout.write(`${elements} elements, one core\n`);
  for (const { what, seconds, megabytesPerSecond, elementsPerSecond } of measurements)
    process.stdout.write(
      `${what.padEnd(20)} ${(seconds * 1000).toFixed(1).padStart(8)} ms ` +
        `${megabytesPerSecond.toFixed(0).padStart(6)} MB/s ${(elementsPerSecond / 1e6).toFixed(0).padStart(6)} M elements/s\n`,
    );
}
