/** What a core that nothing strikes any more owes: the same heads with all the work in them, within a time that follows from the run. */
import type { Machine } from "./machine.ts";
import type { WorldRun } from "./run.ts";
import type { Timeline } from "./timeline.ts";
import type { Ended } from "./types.ts";

/** Looks for whether the run is over. */
const LOOK_MS = 1000;
/** Agreement has to last. */
const LAST_MS = 30_000;
/** Beside the work: for what was cut off to be noticed, and peers to be found again. */
const SETTLE_MS = 600_000;
/** Longest time of a training step. */
const STEP_MS = 9000;

/** Lets the world go on until the core is done, or its time is over. */
export async function finish(
  core: readonly Machine[],
  { manifest, topology }: WorldRun,
  timeline: Timeline,
): Promise<Pick<Ended, "finished" | "unfinished">> {
  const { replicas, training, swarm } = manifest.config;
  const slots = Math.ceil((topology.paths * replicas) / core.length);
  const roundMs = slots * training.innerSteps * STEP_MS + 1000 * (swarm.graceSeconds + swarm.leaseSeconds);
  const limit = timeline.now() + SETTLE_MS + training.rounds * roundMs;
  let since: number | undefined;
  const isOver = (): boolean => {
    since = agree(core) ? (since ?? timeline.now()) : undefined;
    return since !== undefined && timeline.now() - since >= LAST_MS;
  };
  while (timeline.now() < limit && !isOver()) await timeline.run(timeline.now() + LOOK_MS);
  return isOver() ? { finished: true, unfinished: [] } : { finished: false, unfinished: core.map(describe) };
}

function agree(core: readonly Machine[]): boolean {
  const heads = new Set(
    core.map(({ swarm }) =>
      swarm
        ?.heads()
        .map(({ cid }) => cid)
        .join(),
    ),
  );
  return heads.size === 1 && core.every(({ swarm }) => swarm?.coordinator.done() === true);
}

function describe({ name, swarm }: Machine): string {
  const heads = swarm
    ?.heads()
    .map(({ module, generation, cid }) => `${module} ${generation} ${cid.slice(-6)}`);
  return `${name} is ${swarm?.coordinator.done() === true ? "done" : "not done"} at ${heads?.join(", ") ?? "nothing"}`;
}
