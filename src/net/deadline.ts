/** Deadlines for everything that waits on the network, with a reason in the error. */
import type { Clock } from "../clock.ts";
import { messageOf, NetworkError, PathweaveError } from "../errors.ts";

/** What went wrong, on one line; libp2p wraps the causes of a failed dial or query in AggregateErrors. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof AggregateError) || error.errors.length === 0) return messageOf(error);
  return [...new Set(error.errors.map(reasonOf))].join("; ");
}

/**
 * Runs `task` with a signal that fires after `milliseconds` or with the caller's signal. Does not wait
 * for a task that ignores it. Throws NetworkError: `what` names the action, e.g. `Dialling 12D3…`.
 */
export async function withDeadline<T>(
  clock: Clock,
  what: string,
  milliseconds: number,
  signal: AbortSignal | undefined,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  // Not a timeout signal, which lets the process end while somebody waits.
  const cancel = clock.after(milliseconds, () => timeout.abort());
  const either = AbortSignal.any(signal === undefined ? [timeout.signal] : [signal, timeout.signal]);
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(either.reason);
  either.addEventListener("abort", abort);
  try {
    either.throwIfAborted();
    return await Promise.race([task(either), aborted.promise]);
  } catch (error) {
    if (error instanceof PathweaveError) throw error;
    throw new NetworkError(`${what} ${outcome(error, either, signal, milliseconds)}.`, { cause: error });
  } finally {
    cancel();
    either.removeEventListener("abort", abort);
  }
}

function outcome(
  error: unknown,
  either: AbortSignal,
  signal: AbortSignal | undefined,
  milliseconds: number,
): string {
  if (!either.aborted) return `failed: ${reasonOf(error).replace(/\.$/, "")}`;
  if (signal?.aborted !== true) return `took longer than ${milliseconds / 1000} s`;
  const timedOut = signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
  return timedOut ? "took longer than it was given" : "was given up";
}

/** What an iterable yields before the signal fires. Does not wait for one that ignores the signal; throws its reason. */
export async function* beforeAbort<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    signal.throwIfAborted();
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), aborted.promise]);
      if (done === true) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    iterator.return?.().catch(() => {});
  }
}
