import assert from "node:assert/strict";
import { test } from "node:test";
import { describeRun } from "../../../src/run/describe.ts";
import { formatBytes, formatCount } from "../../../src/run/format.ts";
import { networkParts } from "../../../src/run/levels.ts";
import { parseRunFile } from "../../../src/run/run-file.ts";
import { checkCapacity, runSizes } from "../../../src/run/sizes.ts";
import { createTopology } from "../../../src/run/topology.ts";

function sizesOf(yaml: string) {
  const { config } = parseRunFile(`name: t\ncorpus: text\n${yaml}`, "run.yaml");
  const topology = createTopology(config);
  const elements = new Map(
    networkParts(config.model.blocks).map((part) => [part, part.startsWith("block") ? 1000 : 500]),
  );
  return { config, topology, elements, sizes: runSizes(config, topology, elements) };
}

test("modules add up to paths, and shared modules count once in all", () => {
  const { sizes } = sizesOf("grid: [2, 2]");
  assert.equal(sizes.parametersOfModule.get("lower/1"), 2000);
  assert.equal(sizes.parametersPerPath, 5000);
  assert.equal(sizes.parameters, 500 + 2 * 2000 + 2 * 2000 + 500);
});

test("a path downloads f32 and uploads in the run's codec", () => {
  const up = (codec: string): number => sizesOf(`grid: [2, 2]\nouter: {codec: ${codec}}`).sizes.bytesUp;
  assert.equal(sizesOf("grid: [2, 2]").sizes.bytesDown, 20_000);
  assert.deepEqual([up("f32"), up("bf16"), up("int8")], [20_000, 10_000, 5080]);
});

test("tokens count every path and replica", () => {
  const { sizes } = sizesOf("grid: [3]\nreplicas: 2\ntraining: {innerSteps: 10, batchSize: 4, rounds: 5}\n");
  assert.equal(sizes.tokensPerRound, 10 * 4 * 128);
  assert.equal(sizes.tokens, 10 * 4 * 128 * 5 * 3 * 2);
});

test("memory grows with the batch, disk with the generations that are kept", () => {
  const base = sizesOf("grid: [2, 2]").sizes;
  assert.ok(base.memoryBytes > 24 * 4 * 5000);
  assert.ok(sizesOf("grid: [2, 2]\ntraining: {batchSize: 32}").sizes.memoryBytes > base.memoryBytes);
  assert.ok(sizesOf("grid: [2, 2]\nswarm: {retainGenerations: 9}").sizes.diskBytes > base.diskBytes);
});

test("a part without a size is refused", () => {
  const { config, topology, elements } = sizesOf("grid: [1]");
  elements.delete("head");
  assert.throws(() => runSizes(config, topology, elements), {
    name: "ManifestError",
    message: /no part "head"/,
  });
});

test("a machine that cannot hold the run is told the numbers", () => {
  const { sizes } = sizesOf("grid: [2, 2]");
  const { memoryBytes, diskBytes } = sizes;
  checkCapacity(sizes, { memoryBytes, diskBytes });
  assert.throws(() => checkCapacity(sizes, { memoryBytes: memoryBytes - 1, diskBytes }), {
    name: "CapacityError",
    message: new RegExp(`${formatBytes(memoryBytes)} of memory`),
  });
  assert.throws(() => checkCapacity(sizes, { memoryBytes, diskBytes: 1 }), {
    name: "CapacityError",
    message: new RegExp(`${formatBytes(diskBytes)} of disk and 1 B is free`),
  });
});

test("a run is described in aligned lines", () => {
  const { config, topology, sizes } = sizesOf("grid: [2, 2]\nreplicas: 2");
  const lines = describeRun(config, topology, sizes);
  assert.deepEqual(lines.slice(0, 8), [
    "run              t: 4 paths (grid 2 × 2) × 2 replicas",
    "model            4 blocks, width 128, 4 heads, 128 tokens, vocabulary 2048",
    "level embedding  embedding: shared by all paths, 500 parameters each",
    "level lower      blocks 0-1: 2 modules, chosen by axis 0, 2.00 k parameters each",
    "level upper      blocks 2-3: 2 modules, chosen by axis 1, 2.00 k parameters each",
    "level head       head: shared by all paths, 500 parameters each",
    "parameters       5.00 k per path, 9.00 k in all",
    "training         8 rounds of 25 steps × 16 sequences, 51.2 k tokens a round, 3.28 M in all",
  ]);
  assert.equal(lines[8], "traffic          19.5 KiB down, 9.77 KiB up in bf16, per path and round");
  assert.match(lines[9]!, /^needs about      [\d.]+ MiB of memory and [\d.]+ KiB of disk per path$/);
});

test("numbers keep three digits and never show 1000 of a smaller unit", () => {
  assert.deepEqual([0, 1023, 1024, 1536, 1 << 20].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.00 KiB",
    "1.50 KiB",
    "1.00 MiB",
  ]);
  assert.equal(formatBytes(1024 * 1023.9), "1.00 MiB");
  assert.deepEqual([0, 999, 1000, 999_600, 5_812_345, 12_345_678].map(formatCount), [
    "0",
    "999",
    "1.00 k",
    "1.00 M",
    "5.81 M",
    "12.3 M",
  ]);
});

test("the memory estimate is near what training was measured to take", () => {
  // Shape, parameters of a path, and growth of the resident set in MiB: compiled engine, cpu, ONNX Runtime 1.30.
  const measured: [string, number, number][] = [
    ["model: {width: 128, vocabulary: 1024}\ntraining: {batchSize: 16}", 1_066_112, 453],
    ["model: {width: 128, vocabulary: 4096}\ntraining: {batchSize: 32}", 1_852_544, 968],
    ["model: {width: 256, vocabulary: 2048}\ntraining: {batchSize: 16}", 4_262_144, 827],
    ["model: {width: 512, vocabulary: 2048}\ntraining: {batchSize: 4}", 14_750_208, 1799],
    ["model: {width: 128, vocabulary: 512, sequenceLength: 256}\ntraining: {batchSize: 16}", 935_040, 774],
    ["model: {width: 128, vocabulary: 1024, blocks: 12}\ntraining: {batchSize: 8}", 2_673_792, 633],
    [
      "model: {width: 512, vocabulary: 1024, blocks: 2, sequenceLength: 64}\ntraining: {batchSize: 8}",
      7_375_360,
      893,
    ],
    ["model: {width: 64, vocabulary: 512, blocks: 2}\ntraining: {batchSize: 4}", 172_352, 120],
  ];
  for (const [yaml, parameters, megabytes] of measured) {
    const { config } = parseRunFile(`name: t\ncorpus: x\ngrid: [1]\n${yaml}`, "run.yaml");
    const parts = networkParts(config.model.blocks);
    const elements = new Map(parts.map((part, at) => [part, at === 0 ? parameters : 0]));
    const ratio = runSizes(config, createTopology(config), elements).memoryBytes / 2 ** 20 / megabytes;
    assert.ok(ratio > 0.8 && ratio < 1.25, `${yaml}: ${ratio.toFixed(2)} of ${megabytes} MiB`);
  }
});
