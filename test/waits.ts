/** What tests wait for, so that a test that does not end can say it. */
import events from "node:events";
import { syncBuiltinESMExports } from "node:module";

const pending = new Set<string>();

/** For what takes a signal, and ends in a test only by itself or by the test's deadline. */
export const patient: AbortSignal = new AbortController().signal;

/** Lists a wait by what it is for, and the line of the test that waits, until the promise is settled. */
export function awaited<T>(what: string, promise: Promise<T>): Promise<T> {
  list(what, testFrames()[0], promise);
  return promise;
}

/** All waits that last. */
export function pendingWaits(): string[] {
  return [...pending];
}

/** Also lists promises that a test makes to be resolved later, and events that it waits for. */
export function listWaits(): void {
  const withResolvers = Promise.withResolvers.bind(Promise);
  Promise.withResolvers = <T>() => {
    const made = withResolvers<T>();
    listOwn("a promise to be resolved", made.promise);
    return made;
  };
  const once = events.once as (target: unknown, event: string, ...options: unknown[]) => Promise<unknown[]>;
  const listed: typeof once = (target, event, ...options) => {
    const promise = once(target, event, ...options);
    listOwn(`the event "${event}"`, promise);
    return promise;
  };
  events.once = listed as typeof events.once;
  syncBuiltinESMExports();
}

function listOwn(what: string, promise: Promise<unknown>): void {
  const [line, isTests] = testFrames();
  if (isTests) list(what, line, promise);
}

function list(what: string, line: string | undefined, promise: Promise<unknown>): void {
  const name = line === undefined ? what : `${what} (${line})`;
  pending.add(name);
  const settled = (): void => void pending.delete(name);
  promise.then(settled, settled);
}

/** The innermost line of a test on the stack, and whether it is the direct caller of this module. */
function testFrames(): [line: string | undefined, isDirect: boolean] {
  const frames = (new Error().stack ?? "")
    .split("\n")
    .slice(1)
    .filter((frame) => !frame.includes("/waits.ts:"));
  const lines = frames.map((frame) => /\/(test\/[^:]+\.ts:\d+)/.exec(frame)?.[1]);
  return [lines.find((line) => line !== undefined), lines[0] !== undefined];
}
