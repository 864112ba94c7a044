/**
 * Levels cut the network into consecutive parts, `embedding`, `block 0`, …, `head`, and say by what
 * each level chooses its module.
 */
import type { LevelConfig } from "../objects/config.ts";
import { MAX_BLOCK_BYTES } from "../objects/object.ts";
import { counted } from "./format.ts";
import { countPaths } from "./grid.ts";
import { keyName, type Problem } from "./problem.ts";

/** The parts of a network in order. */
export function networkParts(blocks: number): string[] {
  return ["embedding", ...Array.from({ length: blocks }, (_, block) => `block ${block}`), "head"];
}

/** Expands `blocks 0-3` (inclusive); other names stand for themselves. One by one: a short list can name millions. */
export function* expandParts(parts: readonly string[]): Generator<string> {
  for (const part of parts) {
    const range = /^blocks (\d{1,4})-(\d{1,4})$/.exec(part);
    if (range === null) yield part;
    else for (let block = Number(range[1]); block <= Number(range[2]); block++) yield `block ${block}`;
  }
}

function blocksName(first: number, last: number): string {
  return first === last ? `block ${first}` : `blocks ${first}-${last}`;
}

const NAMES: Record<number, string[]> = { 2: ["lower", "upper"], 3: ["lower", "middle", "upper"] };

/**
 * The levels of a run that lists none. Without a choice (every K = 1) the network is one shared level;
 * one axis chooses whole networks (a flat mixture); more axes share embedding and head and split the
 * blocks evenly between them, the first axis nearest the embedding. Undefined when there are fewer
 * blocks than axes.
 */
export function defaultLevels(grid: readonly number[], blocks: number): LevelConfig[] | undefined {
  const axes = grid.flatMap((size, axis) => (size > 1 ? [axis] : []));
  const whole = ["embedding", blocksName(0, blocks - 1), "head"];
  if (axes.length === 0) return [{ name: "model", parts: whole, choose: "shared" }];
  if (axes.length === 1) return [{ name: "expert", parts: whole, choose: axes[0]! }];
  if (blocks < axes.length) return undefined;
  const start = (at: number): number => Math.floor((at * blocks) / axes.length);
  return [
    { name: "embedding", parts: ["embedding"], choose: "shared" },
    ...axes.map((axis, at) => ({
      name: NAMES[axes.length]?.[at] ?? `axis-${axis}`,
      parts: [blocksName(start(at), start(at + 1) - 1)],
      choose: axis,
    })),
    { name: "head", parts: ["head"], choose: "shared" },
  ];
}

/** dag-cbor bytes of one path (shard and holdout references) and of one module (genesis CID) in a manifest. */
const PATH_BYTES = 176;
const MODULE_BYTES = 104;

/** What is wrong with the size of the grid: a manifest, which names every path and module, is one block. */
export function gridProblems(grid: readonly number[], levels: readonly LevelConfig[]): Problem[] {
  const paths = countPaths(grid);
  const modules = levels.reduce(
    (sum, { choose }) => sum + (choose === "shared" ? 1 : choose === "path" ? paths : (grid[choose] ?? 0)),
    0,
  );
  if (paths * PATH_BYTES + modules * MODULE_BYTES <= MAX_BLOCK_BYTES - (MAX_BLOCK_BYTES >> 3)) return [];
  const message = `grid has ${counted(paths, "path")} and ${counted(modules, "module")}, more than a manifest holds; use a smaller grid.`;
  return [{ path: ["grid"], message }];
}

/** What is wrong with the levels: they cover every part once and in order, and every axis tells paths apart. */
export function levelProblems(
  grid: readonly number[],
  levels: readonly LevelConfig[],
  blocks: number,
): Problem[] {
  const problems: Problem[] = [];
  const report = (path: Problem["path"], text: string): void => {
    problems.push({ path, message: `${keyName(path)} ${text}.` });
  };
  const order = networkParts(blocks);
  const names = new Set<string>();
  let next = 0;
  let covering = true;
  for (const [at, level] of levels.entries()) {
    if (names.has(level.name))
      report(["levels", at, "name"], `repeats "${level.name}"; give each level its own name`);
    names.add(level.name);
    if (typeof level.choose === "number" && level.choose >= grid.length)
      report(
        ["levels", at, "choose"],
        `is axis ${level.choose}, but the grid has axes 0 to ${grid.length - 1}; expected one of them, shared or path`,
      );
    // After the first part out of order every later one would be reported too, so stop there.
    let empty = true;
    for (const part of covering ? expandParts(level.parts) : []) {
      empty = false;
      if (part === order[next]) {
        next++;
        continue;
      }
      covering = false;
      const expected = order[next] === undefined ? "nothing after the head" : `"${order[next]}" next`;
      report(
        ["levels", at, "parts"],
        order.includes(part)
          ? `has "${part}" where ${expected} is expected; levels cover embedding, blocks 0-${blocks - 1} and head once, in order`
          : `has "${part.slice(0, 40)}"; expected embedding, block N, blocks N-M (0 to ${blocks - 1}) or head`,
      );
      break;
    }
    if (covering && empty)
      report(["levels", at, "parts"], "is empty; expected a range such as blocks 0-3, lower number first");
  }
  if (covering && next < order.length)
    report(
      ["levels"],
      `end before "${order[next]}"; they must cover embedding, blocks 0-${blocks - 1} and head`,
    );
  if (!levels.some((level) => level.choose === "path"))
    for (const [axis, size] of grid.entries())
      if (size > 1 && !levels.some((level) => level.choose === axis))
        report(
          ["grid", axis],
          `is ${size}, but no level chooses by axis ${axis}, so paths along it would be identical; ` +
            `use 1, or let a level choose ${axis} or path`,
        );
  return problems;
}
