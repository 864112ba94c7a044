/**
 * Lets timers, sockets and signals have their turn in the middle of a long computation: without it, Ctrl-C is not heard
 * and no progress is shown until the computation ends.
 */
import { setImmediate } from "node:timers/promises";

/** Longest time without a turn for the others, ms. */
const BREATH_MS = 40;

/** Call it often, and await what it returns. Throws the signal's reason once it is aborted. */
export type Breath = () => Promise<void> | undefined;

/** A breath costs next to nothing unless it is due. */
export function createBreath(signal?: AbortSignal): Breath {
  let last = performance.now();
  return () => {
    signal?.throwIfAborted();
    if (performance.now() - last < BREATH_MS) return undefined;
    return setImmediate().then(() => {
      last = performance.now();
      signal?.throwIfAborted();
    });
  };
}
