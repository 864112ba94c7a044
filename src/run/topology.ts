import { ManifestError } from "../errors.ts";
import type { RunConfig } from "../objects/config.ts";
import { ROUTER } from "../objects/manifest.ts";
import { countPaths, gridCoordinates } from "./grid.ts";
import { expandParts, gridProblems, levelProblems } from "./levels.ts";
import { throwProblems } from "./problem.ts";
import type { Topology, TopologyLevel, TopologyModule } from "./types.ts";

/**
 * Lays out the grid of modules. Throws ManifestError when levels do not cover the network once and in
 * order, when an axis tells no paths apart, or when there are more modules than a manifest holds.
 */
export function createTopology(config: RunConfig): Topology {
  const { grid } = config;
  throwProblems([
    ...gridProblems(grid, config.levels),
    ...levelProblems(grid, config.levels, config.model.blocks),
  ]);
  const paths = countPaths(grid);
  const coordinates = Array.from({ length: paths }, (_, path) => gridCoordinates(grid, path));

  const levels: TopologyLevel[] = config.levels.map(({ name, parts, choose }, index) => ({
    index,
    name,
    choose,
    parts: [...expandParts(parts)],
    size: choose === "shared" ? 1 : choose === "path" ? paths : grid[choose]!,
  }));
  const choice = (level: TopologyLevel, path: number): number => {
    if (level.choose === "shared") return 0;
    return level.choose === "path" ? path : coordinates[path]![level.choose]!;
  };

  const modules: TopologyModule[] = [];
  const byName = new Map<string, TopologyModule>();
  const ofPath: string[][] = coordinates.map(() => []);
  for (const level of levels) {
    const pathsOf: number[][] = Array.from({ length: level.size }, () => []);
    for (let path = 0; path < paths; path++) {
      const index = choice(level, path);
      pathsOf[index]!.push(path);
      ofPath[path]!.push(`${level.name}/${index}`);
    }
    for (const [index, through] of pathsOf.entries()) {
      const module = { name: `${level.name}/${index}`, level: level.index, paths: through };
      modules.push(module);
      byName.set(module.name, module);
    }
  }

  const module = (name: string): TopologyModule => {
    const found = byName.get(name);
    if (found === undefined)
      throw new ManifestError(`This run has no module "${name.slice(0, 64)}"; see its levels.`);
    return found;
  };
  const atPath = <T>(items: readonly T[], path: number): T => {
    const item = items[path];
    if (item === undefined)
      throw new ManifestError(`This run has no path ${path}; its paths are 0 to ${paths - 1}.`);
    return item;
  };
  return {
    paths,
    replicas: config.replicas,
    levels,
    modules,
    modulesOfPath: (path) => atPath(ofPath, path),
    moduleNames: [...byName.keys(), ROUTER],
    basesOfPath: (path) => [...atPath(ofPath, path), ROUTER],
    pathsOfModule: (name) => (name === ROUTER ? [] : module(name).paths),
    module,
  };
}
