/** Tells now and then how far the whole run is. */
import type { Peer } from "../src/peer/types.ts";
import type { SwarmEvent } from "../src/swarm/types.ts";
import { type OwnWork, Pace, runProgressOf } from "./run-progress.ts";
import type { View } from "./session-view.ts";

const PROGRESS_MS = 10_000;

export function createRunPulse(view: Pick<View, "progress">) {
  const pace = new Pace();
  let own: OwnWork | undefined;
  let isTraining = false;
  let timer: NodeJS.Timeout | undefined;
  return {
    heard(event: SwarmEvent): void {
      if (event.type === "step") {
        const { step, steps, tokensPerSecond } = event;
        own = { slot: event, progress: step / steps, tokensPerSecond };
        // Before, rounds come in that ended long ago.
        isTraining = true;
      }
      if (event.type === "lease" && (event.state === "completed" || event.state === "abandoned") && own)
        own = { ...own, progress: 0 };
    },
    start(peer: Peer): void {
      const show = (): void => {
        const now = performance.now();
        // Counts this peer among the workers also before its first step.
        const self = own ?? { progress: 0, tokensPerSecond: 0 };
        const { done } = runProgressOf(peer, now, self).rounds;
        view.progress(runProgressOf(peer, now, self, isTraining ? pace.note(done, now) : undefined));
      };
      timer = setInterval(show, PROGRESS_MS);
      show();
    },
    stop: () => clearInterval(timer),
  };
}
