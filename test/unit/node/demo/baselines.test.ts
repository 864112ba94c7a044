import assert from "node:assert/strict";
import { test } from "node:test";
import { stringify } from "yaml";
import { baselineOf } from "../../../../node/demo/baselines.ts";
import { demoRun } from "../../../../node/demo/run.ts";
import { parseRunFile } from "../../../../src/run/run-file.ts";
import { createTopology } from "../../../../src/run/topology.ts";
import { node } from "../../objects/samples.ts";

const { config } = parseRunFile(stringify({ ...demoRun(0), corpus: "text" }), "run.yaml");
const { seedSteps, rounds, innerSteps } = config.training;
const { paths } = createTopology(config);
const shards = Array.from({ length: paths }, () => ({ shard: node("shard"), documents: 1, tokens: 1 }));

test("a dense model trains for as many steps as a path, or on as many tokens as all paths together", () => {
  assert.equal(baselineOf("equalSteps", { config, shards }).steps, seedSteps + rounds * innerSteps);
  assert.equal(baselineOf("equalTokens", { config, shards }).steps, seedSteps + paths * rounds * innerSteps);
});
