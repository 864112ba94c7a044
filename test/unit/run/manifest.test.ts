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
  const { genesis } = manifest;
  const other = { module: "other", version: node("other") };
  const refused: [Partial<Manifest>, RegExp][] = [
    [{ genesis: genesis.slice(0, 3) }, /genesis names 3 modules, not the 5.*upper\/1 is not in its place/],
    [{ genesis: genesis.slice(0, 4) }, /genesis names 4 modules, not the 5.*router is not in its place/],
    [{ genesis: [...genesis.slice(0, 4), other] }, /genesis names 5 modules.*router is not in its place/],
    [{ genesis: genesis.toReversed() }, /lower\/0 is not in its place/],
    [{ genesis: [...genesis, other] }, /genesis names 6 modules, not the 5/],
    [{ protocol: 3 }, /its peers speak protocol 3 and this Pathweave 2; use the version/],
    [{ shards: manifest.shards.slice(1) }, /shards has 3 entries, not one for each of 4 paths/],
    [{ holdouts: [] }, /holdouts has 0 entries/],
  ];
  for (const [changes, message] of refused)
    assert.throws(() => checkManifest({ ...manifest, ...changes }, topology), {
      name: "ManifestError",
      message,
    });
});
