import type { EventEmitter } from "node:events";

/** The part of `process` that a shutdown needs. */
export interface Interruptible extends Pick<EventEmitter, "on" | "off"> {
  exit(code: number): void;
}

export interface Shutdown extends Disposable {
  /** Aborts at the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

/** `npm start` passes a Ctrl-C on that the terminal has sent already; the second copy is no second Ctrl-C. */
const SAME_KEY_MILLISECONDS = 300;

/**
 * Turns the first Ctrl-C (or SIGTERM) into an abort, so that the command can say goodbye and drain, and
 * forces exit code 130 at the second. Dispose of it when the command is done.
 *
 * @example
 * using shutdown = onInterrupt((line) => console.error(line));
 * await peer.run({ signal: shutdown.signal });
 */
export function onInterrupt(
  say: (line: string) => void,
  source: Interruptible = process,
  now: () => number = () => performance.now(),
): Shutdown {
  const controller = new AbortController();
  let since: number | undefined;
  const interrupt = (): void => {
    if (since === undefined) {
      since = now();
      say("Stopping: releasing leases and saving. Ctrl-C again stops at once.");
      controller.abort(new Error("stopped by Ctrl-C"));
    } else if (now() - since > SAME_KEY_MILLISECONDS) source.exit(130);
  };
  source.on("SIGINT", interrupt);
  source.on("SIGTERM", interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      source.off("SIGINT", interrupt);
      source.off("SIGTERM", interrupt);
    },
  };
}
