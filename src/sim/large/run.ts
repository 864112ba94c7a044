/** The run that a simulation trains: a configuration without data, and messages with nothing but what matters. */
import { runConfigSchema, type RunConfig } from "../../objects/config.ts";
import { dagCborCid } from "../../objects/object.ts";
import { parseRunFile } from "../../run/run-file.ts";
import type { Heartbeat } from "../../swarm/messages.ts";

export const RUN = dagCborCid(Uint8Array.of(0xa0));
const NO_HEADS = new Uint8Array(32);

export function heartbeat(changes: Partial<Heartbeat>): Heartbeat {
  return {
    run: RUN,
    sequence: 1,
    periodSeconds: 1,
    role: "worker",
    leaving: false,
    leases: [],
    heads: NO_HEADS,
    tokensPerSecond: 0,
    memoryBytes: 0,
    bytesIn: 0,
    bytesOut: 0,
    device: "simulated",
    ...changes,
  };
}

export interface RunChanges {
  grid?: number[];
  rounds?: number;
  replicas?: number;
  maxStaleness?: number;
  swarm?: Partial<RunConfig["swarm"]>;
}

/** A run with the defaults of a run file and the given changes. */
export function simulatedRun(changes: RunChanges): RunConfig {
  const { grid = [2, 2], rounds = 3, replicas = 1, maxStaleness = 4, swarm = {} } = changes;
  const { config } = parseRunFile(
    JSON.stringify({ name: "sim", corpus: "none", grid, replicas }),
    "simulation",
  );
  return runConfigSchema.parse({
    ...config,
    training: { ...config.training, rounds },
    outer: { ...config.outer, maxStaleness },
    swarm: { ...config.swarm, ...swarm },
  });
}

/** A grid of two axes, as square as it can be, with the given number of paths. */
export function gridOf(paths: number): number[] {
  for (let side = Math.floor(Math.sqrt(paths)); side > 1; side--)
    if (paths % side === 0) return [side, paths / side];
  return [paths];
}
