/** Whom this peer asks what it knows, and what it learns by that: the lineage, and that two halves of the run have met. */
import { type Clock, timeout } from "../../clock.ts";
import { NetworkError } from "../../errors.ts";
import type { Random } from "../../random.ts";
import type { Tasks } from "../tasks.ts";
import type { SwarmEvent } from "../types.ts";
import type { AntiEntropy } from "./anti-entropy.ts";
import type { SplitDetector } from "./split.ts";

const SYNCHRONISE_MS = 60_000;

export interface ReconcilerInit {
  clock: Clock;
  random: Random;
  tasks: Tasks;
  antiEntropy: AntiEntropy;
  splits: SplitDetector;
  /** Peers that are heard. */
  live(): Iterable<string>;
  /** What the next decisions depend on has changed. */
  changed(): void;
  emit(event: SwarmEvent): void;
}

export interface Reconciler {
  /** Asks a peer, in the background. */
  ask(peer: string): void;
  /** Asks a peer of those that are heard, by chance, in the background. */
  askAny(): void;
  /** Resolves when a first peer has told all it knows. Throws NetworkError after a minute without one. */
  synchronised(signal: AbortSignal): Promise<void>;
}

export function createReconciler(init: ReconcilerInit): Reconciler {
  const { clock, random, tasks, antiEntropy, splits } = init;
  const first = Promise.withResolvers<void>();

  async function reconcile(peer: string): Promise<void> {
    const split = await splits.during(peer, clock.now(), () => antiEntropy.ask(peer, tasks.stopping));
    if (split !== undefined) init.emit({ type: "split", ...split });
    first.resolve();
    init.changed();
  }

  function ask(peer: string): void {
    tasks.run(`anti-entropy with ${peer}`, () => reconcile(peer));
  }

  return {
    ask,
    askAny() {
      const peers = [...init.live()];
      const peer = peers[random.integer(peers.length)];
      if (peer !== undefined) ask(peer);
    },
    async synchronised(signal) {
      const deadline = AbortSignal.any([signal, timeout(clock, SYNCHRONISE_MS)]);
      const late = new Promise<never>((_, reject) => {
        deadline.addEventListener(
          "abort",
          () => reject(new NetworkError("No peer of the run answered within a minute.")),
          { once: true },
        );
      });
      await Promise.race([first.promise, late]);
    },
  };
}
