import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type LevelConfig, type RunConfig, runConfigSchema } from "../../../src/objects/config.ts";
import { countPaths, gridCoordinates } from "../../../src/run/grid.ts";
import { defaultLevels, expandParts, networkParts } from "../../../src/run/levels.ts";
import { createTopology } from "../../../src/run/topology.ts";

function configOf(grid: number[], levels: LevelConfig[], blocks = 4, replicas = 1): RunConfig {
  return runConfigSchema.parse({ name: "t", grid, levels, replicas, model: { blocks } });
}

const level = (name: string, parts: string[], choose: LevelConfig["choose"]): LevelConfig => ({
  name,
  parts,
  choose,
});
const TWO_BY_TWO = defaultLevels([2, 2], 4)!;

test("a 2 × 2 DiPaCo shares modules along the axis that a level does not choose by", () => {
  const topology = createTopology(configOf([2, 2], TWO_BY_TWO));
  assert.equal(topology.paths, 4);
  assert.deepEqual(topology.modulesOfPath(0), ["embedding/0", "lower/0", "upper/0", "head/0"]);
  assert.deepEqual(topology.modulesOfPath(1), ["embedding/0", "lower/0", "upper/1", "head/0"]);
  assert.deepEqual(topology.modulesOfPath(2), ["embedding/0", "lower/1", "upper/0", "head/0"]);
  assert.deepEqual(topology.pathsOfModule("lower/1"), [2, 3]);
  assert.deepEqual(topology.pathsOfModule("upper/1"), [1, 3]);
  assert.deepEqual(topology.pathsOfModule("head/0"), [0, 1, 2, 3]);
  assert.deepEqual(topology.levels[1]!.parts, ["block 0", "block 1"]);
  assert.equal(topology.module("upper/1").level, 2);
});

test("dense and DiLoCo are a grid of one path, with replicas", () => {
  const topology = createTopology(configOf([1], defaultLevels([1], 4)!, 4, 3));
  assert.equal(topology.paths, 1);
  assert.equal(topology.replicas, 3);
  assert.deepEqual(topology.modulesOfPath(0), ["model/0"]);
  assert.deepEqual(topology.levels[0]!.parts, networkParts(4));
});

test("a flat mixture is one level that chooses whole networks", () => {
  const topology = createTopology(configOf([8], defaultLevels([8], 4)!));
  assert.deepEqual(topology.modulesOfPath(5), ["expert/5"]);
  assert.deepEqual(topology.pathsOfModule("expert/5"), [5]);
});

test("a level can have one module per path", () => {
  const levels = [
    level("stem", ["embedding", "block 0"], "path"),
    level("lower", ["block 1"], 0),
    level("upper", ["blocks 2-3", "head"], 1),
  ];
  const topology = createTopology(configOf([2, 3], levels));
  assert.equal(topology.levels[0]!.size, 6);
  assert.deepEqual(topology.modulesOfPath(4), ["stem/4", "lower/1", "upper/1"]);
});

test("unknown modules and paths are refused by name", () => {
  const topology = createTopology(configOf([2, 2], TWO_BY_TWO));
  assert.throws(() => topology.pathsOfModule("lower/2"), {
    name: "ManifestError",
    message: /no module "lower\/2"/,
  });
  assert.throws(() => topology.modulesOfPath(4), { name: "ManifestError", message: /paths are 0 to 3/ });
  assert.throws(() => topology.modulesOfPath(-1), { name: "ManifestError" });
});

const wrong: [string, number[], LevelConfig[], RegExp][] = [
  [
    "a gap",
    [1],
    [level("a", ["embedding", "blocks 1-3", "head"], "shared")],
    /has "block 1" where "block 0" next/,
  ],
  [
    "a repeated block",
    [1],
    [level("a", ["embedding", "blocks 0-3", "block 3", "head"], "shared")],
    /"block 3" where "head" next/,
  ],
  ["a missing head", [1], [level("a", ["embedding", "blocks 0-3"], "shared")], /levels end before "head"/],
  [
    "parts after the head",
    [1],
    [level("a", ["embedding", "blocks 0-3", "head"], "shared"), level("b", ["block 0"], "shared")],
    /nothing after the head/,
  ],
  [
    "a part the network lacks",
    [1],
    [level("a", ["embedding", "blocks 0-4", "head"], "shared")],
    /"block 4"; expected/,
  ],
  [
    "a misspelt part",
    [1],
    [level("a", ["embeding", "blocks 0-3", "head"], "shared")],
    /"embeding"; expected embedding/,
  ],
  ["a range that runs backwards", [1], [level("a", ["blocks 3-0"], "shared")], /is empty; expected a range/],
  [
    "two levels of one name",
    [1],
    [level("a", ["embedding"], "shared"), level("a", ["blocks 0-3", "head"], "shared")],
    /repeats "a"/,
  ],
  [
    "an axis that the grid lacks",
    [2],
    [level("a", ["embedding", "blocks 0-3", "head"], 1)],
    /is axis 1, but the grid has axes 0 to 0/,
  ],
  [
    "an axis that nothing chooses by",
    [2, 2],
    [level("a", ["embedding", "blocks 0-3", "head"], 0)],
    /grid\[1\] is 2, .* would be identical/,
  ],
  [
    "more paths than a manifest holds",
    [4096, 4096],
    [level("a", ["embedding", "blocks 0-3", "head"], "path")],
    /more than a manifest holds/,
  ],
];
for (const [name, grid, levels, message] of wrong)
  test(`${name} is refused`, () => {
    assert.throws(() => createTopology(configOf(grid, levels)), { name: "ManifestError", message });
  });

test("coordinates number the paths in row-major order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }), (grid) => {
      const paths = countPaths(grid);
      for (let path = 0; path < paths; path++) {
        const number = gridCoordinates(grid, path).reduce((sum, at, axis) => sum * grid[axis]! + at, 0);
        assert.equal(number, path);
      }
    }),
  );
});

/** Random levels over a random grid, every axis used. */
const arbitraryConfig = fc
  .record({
    grid: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
    blocks: fc.integer({ min: 1, max: 6 }),
    cuts: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
    choices: fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 8, maxLength: 8 }),
  })
  .map(({ grid, blocks, cuts, choices }) => {
    const groups: string[][] = [[]];
    for (const [at, part] of networkParts(blocks).entries()) {
      if (at > 0 && cuts[at]) groups.push([]);
      groups.at(-1)!.push(part);
    }
    const levels = groups.map((parts, at): LevelConfig => {
      const choice = choices[at]!;
      const choose = choice === -2 ? "path" : choice < 0 || choice >= grid.length ? "shared" : choice;
      return level(`l${at}`, parts, choose);
    });
    return configOf(grid, levels, blocks);
  })
  .filter(
    ({ grid, levels }) =>
      levels.some((l) => l.choose === "path") ||
      grid.every((k, axis) => k === 1 || levels.some((l) => l.choose === axis)),
  );

test("paths and modules agree, each path covers the network once, and no two paths are equal", () => {
  fc.assert(
    fc.property(arbitraryConfig, (config) => {
      const topology = createTopology(config);
      const signatures = new Set<string>();
      for (let path = 0; path < topology.paths; path++) {
        const modules = topology.modulesOfPath(path);
        signatures.add(modules.join());
        assert.deepEqual(
          modules.flatMap((name) => topology.levels[topology.module(name).level]!.parts),
          networkParts(config.model.blocks),
        );
        for (const name of modules) assert.ok(topology.pathsOfModule(name).includes(path));
      }
      assert.equal(signatures.size, topology.paths);
      for (const one of topology.levels) {
        const own = topology.modules.filter(({ level: index }) => index === one.index);
        assert.equal(own.length, one.size);
        const paths = own.flatMap((module) => module.paths).toSorted((a, b) => a - b);
        assert.deepEqual(
          paths,
          Array.from({ length: topology.paths }, (_, path) => path),
        );
      }
    }),
  );
});

test("default levels make a valid topology for every grid with blocks enough", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 12 }),
      (grid, blocks) => {
        const levels = defaultLevels(grid, blocks);
        const axes = grid.filter((size) => size > 1).length;
        assert.equal(levels === undefined, axes > 1 && blocks < axes);
        if (levels !== undefined)
          assert.equal(createTopology(configOf(grid, levels, blocks)).paths, countPaths(grid));
      },
    ),
  );
});

test("block ranges are inclusive", () => {
  assert.deepEqual([...expandParts(["blocks 2-4", "head"])], ["block 2", "block 3", "block 4", "head"]);
  assert.deepEqual([...expandParts(["blocks 7-7"])], ["block 7"]);
});

test("a list of parts that names billions is refused at the first wrong one", () => {
  const parts = Array.from({ length: 100_000 }, () => "blocks 0-9999");
  assert.equal(expandParts(parts).next().value, "block 0");
  assert.throws(() => createTopology(configOf([1], [level("all", parts, "shared")])), {
    name: "ManifestError",
    message: /has "block 0" where "embedding" next is expected/,
  });
});
