import type { RunConfig } from "../../../src/objects/config.ts";
import { type RunChanges, simulatedRun } from "../../../src/sim/large/run.ts";

/** A run of seconds: rounds take 3 to 6 s in a simulation that is not told otherwise. */
export function config(changes: RunChanges = {}): RunConfig {
  const times = { heartbeatSeconds: 1, leaseSeconds: 10, settleSeconds: 0.5, graceSeconds: 30 };
  return simulatedRun({ ...changes, swarm: { ...times, antiEntropySeconds: 2, ...changes.swarm } });
}
