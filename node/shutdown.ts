/** How a command is told to stop: Ctrl-C, SIGTERM, a closed terminal, or a reader of its output that is gone. */
import type { EventEmitter } from "node:events";
import { type Interrupt, InterruptedError, INTERRUPTS } from "../src/errors.ts";
import { leave } from "./leave.ts";

/** The part of `process` that a shutdown needs. */
export type Interruptible = Pick<EventEmitter, "on" | "off">;

export interface Shutdown extends Disposable {
  /** Aborts with an InterruptedError at the first interruption. */
  readonly signal: AbortSignal;
}

/** `npm start` passes a Ctrl-C on that the terminal has sent already; the second copy is no second Ctrl-C. */
const SAME_KEY_MILLISECONDS = 300;
/** Signals that force the end when they come a second time. */
const FORCING: Interrupt[] = ["SIGINT", "SIGTERM"];

/**
 * The event by which a closed pipe is told. Not SIGPIPE itself: a listener for that would hear it of every socket whose
 * other end is gone, too.
 */
export const CLOSED_PIPE = "closed pipe";

/** What a peer says when it is told to stop. */
export const PEER_STOPS = "Stopping: releasing leases and saving. Ctrl-C again stops at once.";
/** What any other command says. */
export const COMMAND_STOPS = "Stopping. Ctrl-C again stops at once.";

/**
 * Turns the first interruption into an abort, so that the command can say goodbye and drain, and forces exit code 130
 * (143 for SIGTERM) at the second. Dispose of it when the command is done.
 *
 * @example
 * const shutdown = onInterrupt(() => console.error(PEER_STOPS));
 * await peer.run({ signal: shutdown.signal });
 */
export function onInterrupt(
  say: () => void,
  source: Interruptible = process,
  now: () => number = () => performance.now(),
  force: (code: number) => void = leave,
): Shutdown {
  const controller = new AbortController();
  let since: number | undefined;
  const listeners = (Object.keys(INTERRUPTS) as Interrupt[]).map((signal) => {
    const interrupt = (): void => {
      if (since === undefined) {
        since = now();
        // Of a closed terminal or pipe nobody reads it.
        if (FORCING.includes(signal)) say();
        controller.abort(new InterruptedError(signal));
      } else if (FORCING.includes(signal) && now() - since > SAME_KEY_MILLISECONDS)
        force(128 + INTERRUPTS[signal]);
    };
    const event = signal === "SIGPIPE" ? CLOSED_PIPE : signal;
    source.on(event, interrupt);
    return { event, interrupt };
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const { event, interrupt } of listeners) source.off(event, interrupt);
    },
  };
}

/**
 * What a task gives, unless the signal aborts: then the task has a while to clean up, and the signal's reason is thrown
 * whatever became of it.
 */
export async function untilInterrupted<T>(
  signal: AbortSignal,
  task: Promise<T>,
  graceMilliseconds = 2000,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => late.reject(signal.reason as Error), graceMilliseconds);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([task, late.promise]);
  } catch (error) {
    task.catch(() => {});
    signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** The part of an output stream that tells when nobody reads it any more. */
type Stream = Pick<EventEmitter, "on">;

/**
 * Node.js hides SIGPIPE and lets writing fail instead. This turns the failure into an event: a command that listens
 * for it ends in order, any other at once, as `head` expects of both.
 */
export function hearClosedPipes(
  streams: readonly Stream[] = [process.stdout, process.stderr],
  source: Pick<EventEmitter, "emit"> = process as EventEmitter,
  end: (code: number) => void = leave,
): void {
  for (const stream of streams)
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // EIO is what a closed terminal gives.
      if (!["EPIPE", "EIO", "ERR_STREAM_DESTROYED"].includes(error.code ?? "")) throw error;
      if (!source.emit(CLOSED_PIPE)) end(128 + INTERRUPTS.SIGPIPE);
    });
}
