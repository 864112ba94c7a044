import assert from "node:assert/strict";
import { test } from "node:test";
import { Manifest } from "../../../src/objects/manifest.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { checkManifest } from "../../../src/run/validate.ts";
import { node, samples } from "../objects/samples.ts";

const { value, kind } = samples.find(({ name }) => name === "manifest")!;
const manifest = Manifest.decode(kind.encode(value).bytes);
const topology = createTopology(manifest.config);

test("a manifest has a genesis version for every module, and a shard and a holdout for every path", () => {
  checkManifest(manifest, topology);
  const { "upper/1": _, ...rest } = manifest.genesis;
  const refused: [Partial<Manifest>, RegExp][] = [
    [{ genesis: rest }, /genesis names 3 modules, not the 4 of the run; upper\/1 is missing/],
    [{ genesis: { ...rest, other: node("other") } }, /genesis names 4 modules.*upper\/1 is missing/],
    [{ genesis: { ...manifest.genesis, other: node("other") } }, /genesis names 5 modules, not the 4/],
    [{ shards: manifest.shards.slice(1) }, /shards has 3 entries, not one for each of 4 paths/],
    [{ holdouts: [] }, /holdouts has 0 entries/],
  ];
  for (const [changes, message] of refused)
    assert.throws(() => checkManifest({ ...manifest, ...changes }, topology), {
      name: "ManifestError",
      message,
    });
});
