/** The swarm of the demo at work: what it shows meanwhile, and the faults that strike it. */
import type { CreatedRun } from "../../src/create/create.ts";
import { type Chaos, schedule } from "../chaos/schedule.ts";
import type { ChaosSession } from "../chaos/session.ts";
import type { LocalSwarm } from "../local-swarm.ts";
import { counted, formatBar, formatDuration, formatNumber, type Progress } from "../output.ts";

/** How long a fault of `--chaos` lasts on average. */
const MEAN_FAULT_MS = 10_000;

/** Shows the swarm at work whenever something happens, until the function that it returns is called. */
export function showSwarm(swarm: LocalSwarm, created: CreatedRun, progress: Progress): () => void {
  const { config } = created.manifest;
  const { rounds, innerSteps } = config.training;
  const paths = created.manifest.shards.length;
  const began = performance.now();
  let isShown = true;
  const show = (): void => {
    if (!isShown) return;
    const rows = Array.from({ length: paths }, (_, index) => {
      const { done, loss } = swarm.pathProgress(index, innerSteps);
      return `path ${index} ${formatBar(done, rounds * innerSteps, 12)} ${formatNumber(loss, 2)}`;
    });
    const total = rows.length * rounds * innerSteps;
    const done = Array.from(
      { length: paths },
      (_, index) => swarm.pathProgress(index, innerSteps).done,
    ).reduce((a, b) => a + b, 0);
    const elapsed = performance.now() - began;
    const eta = done > 0 ? `, about ${formatDuration((elapsed / done) * (total - done))} left` : "";
    const generations = swarm.generations();
    progress.update(`${rows.join(" | ")} | ${counted(generations, "outer update")}${eta}`);
  };
  swarm.onEvent(show);
  show();
  return () => {
    isShown = false;
  };
}

/** Lets faults happen until the run is complete; resolves to how many there were. */
export async function strikeSwarm(
  session: ChaosSession,
  chaos: Chaos,
  progress: Progress,
  signal: AbortSignal,
): Promise<number> {
  const { swarm } = session;
  await Promise.all(swarm.peers.map((peer) => peer.ready));
  const peers = swarm.peers.map(({ name }) => name);
  const plan = schedule({ ...chaos, peers, meanMs: MEAN_FAULT_MS });
  return session.injectUntilComplete(plan, signal, (kind, struck) =>
    progress.line(`fault: ${kind} of ${struck.join(", ")}`),
  );
}
