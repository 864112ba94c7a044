/** Fetches what this peer replicates (see replication.ts), one object after the other. */
import type { CID } from "multiformats/cid";
import type { Clock } from "../../clock.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { Tasks } from "../tasks.ts";
import type { SwarmEvent } from "../types.ts";
import type { Replication } from "./replication.ts";

export interface KeepingInit {
  clock: Clock;
  tasks: Tasks;
  coordinator: Coordinator;
  replication: Replication;
  /** Gets an object of the manifest onto this disk, to stay. */
  keep(object: CID, signal: AbortSignal): Promise<void>;
  emit(event: SwarmEvent): void;
}

/** Returns what begins to fetch the next object, unless one is under way. */
export function createKeeping(init: KeepingInit): () => void {
  const { clock, tasks, coordinator, replication } = init;
  let keeping = false;
  return function keepNext() {
    const now = clock.now();
    const workers = coordinator.workers(now);
    if (keeping || tasks.stopping.aborted) return;
    // Who hears nobody has nobody to ask either, and would take everything for its duty.
    if (now < coordinator.listensUntil) return;
    const object = workers.length < 2 ? undefined : replication.next(workers);
    if (object === undefined) return;
    keeping = true;
    tasks.run(`keeping ${object.toString()}`, async () => {
      try {
        await init.keep(object, tasks.stopping);
        replication.kept(object);
        init.emit({ type: "kept", cid: object.toString() });
      } finally {
        keeping = false;
      }
      keepNext();
    });
  };
}
