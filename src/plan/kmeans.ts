/**
 * Documents are routed once, before the run. Every replica of every path trains T rounds on its part of the path's
 * shard, and generation r + 1 of a module folds round r of all paths through it. The router stays as it began.
 */
import { genesisOf, ROUTER } from "../objects/manifest.ts";
import type { PlanInit } from "./plan.ts";
import type { Lane, Plan } from "./types.ts";

interface PathLane extends Lane {
  path: number;
  replica: number;
}

export function createKmeansPlan({ config, genesis, topology, shards }: PlanInit): Plan {
  const router = genesisOf({ genesis }, ROUTER);
  const { rounds } = config.training;
  const { paths, replicas } = topology;
  const lanes = Array.from({ length: paths * replicas }, (_, index): PathLane => {
    const path = Math.floor(index / replicas);
    const replica = index % replicas;
    return { index, path, replica, labels: [path, replica], modules: topology.modulesOfPath(path) };
  });
  const lanesOf = new Map(
    topology.modules.map(({ name, paths: through }) => [
      name,
      through.flatMap((path) => lanes.slice(path * replicas, (path + 1) * replicas)),
    ]),
  );
  const lanesOfModule = (module: string): readonly PathLane[] => lanesOf.get(module) ?? [];

  return {
    lanes,
    lanesOf: lanesOfModule,
    laneOf({ path, replica }) {
      const lane = lanes[path * replicas + replica];
      if (lane?.path !== path) throw new RangeError(`There is no replica ${replica} of path ${path}.`);
      return lane;
    },
    first({ index }) {
      const { path, replica } = lanes[index]!;
      return { work: "train", round: 0, path, replica };
    },
    after: (slot) => (slot.round + 1 < rounds ? { ...slot, round: slot.round + 1 } : undefined),
    before: (slot) => (slot.round > 0 ? { ...slot, round: slot.round - 1 } : undefined),
    left: (slot) => (slot === undefined ? 0 : rounds - slot.round),
    order: ({ round }) => round,
    isReady: ({ round }, _module, { generation }) => generation >= round,
    expected(module, { generation: round }) {
      if (round >= rounds) return [];
      return lanesOfModule(module).map(({ path, replica }) => ({ work: "train", round, path, replica }));
    },
    lastGeneration: (module) => (lanesOfModule(module).length === 0 ? 0 : rounds),
    weightOf({ path, bases }) {
      const named = bases.find(({ module }) => module === ROUTER)?.version;
      return named !== undefined && router?.equals(named) === true ? shards[path]!.tokens : undefined;
    },
    objection(module, { round, path, replica }) {
      if (!topology.pathsOfModule(module).includes(path))
        return `path ${path} does not pass through ${module}`;
      if (replica >= replicas) return `replica ${replica} is not below ${replicas}`;
      return round >= rounds ? `round ${round} is not below ${rounds}` : undefined;
    },
  };
}
