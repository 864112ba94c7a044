/** One seed is one execution: what keeps a time or throws dice of its own shows when it is lived once more. */
import type { Outcome } from "./types.ts";
import { live, type WorldOptions } from "./world.ts";

/** Lives one seed through twice. */
export async function liveTwice(options: WorldOptions): Promise<Outcome> {
  const first = await live(options);
  const { trace: _, ...same } = options;
  const second = await live(same);
  if (first.digest === second.digest) return first;
  const problem = `repeats: the traces are ${first.digest} and ${second.digest}.`;
  return { ...first, broken: [...first.broken, problem] };
}
