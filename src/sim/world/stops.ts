/**
 * Stops a peer at every operation of a short run, one execution each: its machine loses its power, and with it all that
 * is not flushed, at either end of one operation on disk, database or network. So what is durable while what follows
 * from it is not is found by looking everywhere, not by chance.
 */
import type { Outcome } from "./types.ts";
import { live, type WorldOptions } from "./world.ts";

const PEERS = 2;
const ROUNDS = 3;

export interface Stop {
  /** Which operation of all peers, from 0. */
  at: number;
  /** Which peer did what; undefined when there is no such operation. */
  operation: string | undefined;
  outcome: Outcome;
}

/** Lives a short run in which the peer that does the operation of that number loses its power then. */
export async function stopAt(at: number, options: Pick<WorldOptions, "seed" | "trace">): Promise<Stop> {
  let operation: string | undefined;
  let count = 0;
  const outcome = await live({
    ...options,
    quiet: {
      peers: PEERS,
      rounds: ROUNDS,
      begin(machines, injector) {
        for (const machine of machines)
          machine.onOperation = (what) => {
            if (count++ !== at) return;
            operation = `${machine.name} ${what}`;
            injector.cutPower(machine);
          };
      },
    },
  });
  return { at, operation, outcome };
}

/** How many operations there are in a run that nothing stops. Throws when that one breaks something. */
export async function countOperations(seed: number): Promise<number> {
  let count = 0;
  const { broken } = await live({
    seed,
    quiet: {
      peers: PEERS,
      rounds: ROUNDS,
      begin(machines) {
        for (const machine of machines) machine.onOperation = () => count++;
      },
    },
  });
  if (broken.length > 0) throw new Error(`The run that nothing stops is broken: ${broken.join("; ")}`);
  return count;
}
