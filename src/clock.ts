/**
 * Time from outside, so that a peer can live under a virtual clock (docs/design.md, section 9). What the swarm and all
 * below it know of time they know from one of these.
 */

/** The time of one peer. */
export interface Clock {
  /** Milliseconds on a monotonic clock, from an arbitrary beginning. */
  now(): number;
  /** Milliseconds since 1970 as this machine has it; may jump either way. */
  wall(): number;
  /**
   * Calls back once, `milliseconds` from now, unless the returned function cancels it before. With `waits` it keeps the
   * process alive.
   */
  after(milliseconds: number, callback: () => void, options?: { waits: boolean }): () => void;
}

/** Longest time that a timer of the system takes; beyond, it would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(milliseconds, callback, { waits } = { waits: true }) {
    const timer = setTimeout(callback, Math.min(milliseconds, LONGEST_MS));
    if (!waits) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Calls back again and again, until the function that is returned is called. */
export function every(clock: Clock, milliseconds: number, callback: () => void): () => void {
  let cancel = clock.after(milliseconds, next);
  function next(): void {
    cancel = clock.after(milliseconds, next);
    callback();
  }
  return () => cancel();
}

/** Aborts after a time, with the reason that `AbortSignal.timeout` has. */
export function timeout(clock: Clock, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  const late = (): void =>
    controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
  clock.after(milliseconds, late, { waits: false });
  return controller.signal;
}

/** Resolves after a time; rejects with the signal's reason when that aborts first. */
export function delay(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted === true) {
    reject(signal.reason);
    return promise;
  }
  const cancel = clock.after(milliseconds, () => {
    signal?.removeEventListener("abort", aborted);
    resolve();
  });
  function aborted(): void {
    cancel();
    reject(signal!.reason);
  }
  signal?.addEventListener("abort", aborted, { once: true });
  return promise;
}
