/** What a contribution must satisfy by itself, read off the manifest. Written from docs/design.md, not from the peer. */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../objects/config.ts";
import { ROUTER } from "../objects/manifest.ts";
import type { RecordedContribution } from "./types.ts";

/** The paths through every module and none through the router, ascending: paths number the grid's tuples, first axis slowest. */
export function pathsByModule({ grid, levels }: Pick<RunConfig, "grid" | "levels">): Map<string, number[]> {
  const paths = grid.reduce((product, size) => product * size, 1);
  const modules = new Map<string, number[]>();
  for (const { name, choose } of levels)
    for (let path = 0; path < paths; path++) {
      const index = choose === "shared" ? 0 : choose === "path" ? path : coordinate(grid, path, choose);
      const module = `${name}/${index}`;
      modules.set(module, [...(modules.get(module) ?? []), path]);
    }
  // It has versions, and no path trains it.
  modules.set(ROUTER, []);
  return modules;
}

function coordinate(grid: readonly number[], path: number, axis: number): number {
  const stride = grid.slice(axis + 1).reduce((product, size) => product * size, 1);
  return Math.floor(path / stride) % grid[axis]!;
}

/**
 * Whether it names what its path started from: one version of each module, in order, and that of the router. A run by
 * k-means has one, the manifest's, whose table of shards it is weighed by.
 */
function namesItsBases(
  { path, bases }: RecordedContribution,
  paths: ReadonlyMap<string, readonly number[]>,
  router: CID | undefined,
): boolean {
  const modules = [...paths].filter(([, through]) => through.includes(path)).map(([name]) => name);
  return (
    bases.map((base) => base.module).join() === [...modules, ROUTER].join() &&
    router?.equals(bases.at(-1)!.version) === true
  );
}

/** Modules with fewer contributions a generation are those that a run can have tried on held-out text. */
const TRIED_BELOW = 3;

/** Whether contributions to a module are tried on held-out text. */
export function isTried(module: string, config: RunConfig): boolean {
  const paths = pathsByModule(config).get(module)!.length;
  return config.outer.holdout !== undefined && paths * config.replicas < TRIED_BELOW;
}

/** Whether a contribution is one of this run that may be folded at all. */
export function meetsRules(
  contribution: RecordedContribution,
  run: string,
  config: RunConfig,
  paths: ReadonlyMap<string, readonly number[]>,
  router: CID | undefined,
): boolean {
  const { round, path, replica, steps, tokens } = contribution;
  const { rounds, innerSteps, batchSize } = config.training;
  return (
    contribution.run.toString() === run &&
    paths.get(contribution.module)?.includes(path) === true &&
    replica < config.replicas &&
    round < rounds &&
    steps >= 1 &&
    steps <= innerSteps &&
    tokens === steps * batchSize * config.model.sequenceLength &&
    namesItsBases(contribution, paths, router)
  );
}

/** One peer contributes a round of a replica of a path once; this names that piece of work. */
export function workOf({ round, path, replica, signer }: RecordedContribution): string {
  return [round, path, replica, signer].join("/");
}

/** Fold order: round, path, replica, then CID bytes. */
export function inFoldOrder(a: RecordedContribution, b: RecordedContribution): number {
  return (
    a.round - b.round || a.path - b.path || a.replica - b.replica || Buffer.compare(a.cid.bytes, b.cid.bytes)
  );
}
