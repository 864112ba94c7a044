/** docs/run-file.md cannot go stale: its examples are parsed and its table is compared with the schema. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseRunFile } from "../../../src/run/run-file.ts";
import { runFileKeys } from "../../../src/run/run-schema.ts";
import { createTopology } from "../../../src/run/topology.ts";

const page = readFileSync(new URL("../../../docs/run-file.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml]) => yaml!);

test("the table has every key with its default and what it accepts, and no other", () => {
  const rows = page
    .slice(page.indexOf("<!-- keys -->"))
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  const documented = rows.map(([, key, value, accepts]) => `${key} | ${value} | ${accepts}`);
  const actual = runFileKeys().map((key) => {
    const text =
      key.default === undefined ? "none" : `\`${JSON.stringify(key.default).replaceAll('"', "")}\``;
    return `\`${key.name}\` | ${key.required ? "required" : text} | ${key.expected}`;
  });
  assert.deepEqual(documented, actual);
  for (const row of rows) assert.ok((row[4] ?? "").length > 10, `${row[1]} has no meaning`);
});

test("every example is a valid run of the paths and modules that its text promises", () => {
  const found = examples.map((yaml) => {
    const { config } = parseRunFile(yaml, "run.yaml");
    const topology = createTopology(config);
    return `${config.name}: ${topology.paths} paths, ${topology.modules.length} modules, ${config.replicas} replicas`;
  });
  assert.deepEqual(found, [
    "two-by-two: 4 paths, 6 modules, 1 replicas",
    "two-by-two: 4 paths, 6 modules, 1 replicas",
    "path-specific: 4 paths, 12 modules, 1 replicas",
    "mixture: 8 paths, 8 modules, 1 replicas",
    "diloco: 1 paths, 1 modules, 4 replicas",
    "dense: 1 paths, 1 modules, 1 replicas",
  ]);
});

test("the default levels are the ones that the page writes out", () => {
  assert.deepEqual(
    parseRunFile(examples[0]!, "run.yaml").config,
    parseRunFile(examples[1]!, "run.yaml").config,
  );
});
