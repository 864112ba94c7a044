/**
 * Calls into native code that other threads are at. Ending the process in the middle of one makes ONNX Runtime abort it
 * (onnxruntime#24486), so whoever ends it asks here first.
 */
const calls = new Set<Promise<unknown>>();

/** Counts a call from now until it settles. Returns it. */
export function nativeWork<T>(call: Promise<T>): Promise<T> {
  calls.add(call);
  const ended = (): void => void calls.delete(call);
  call.then(ended, ended);
  return call;
}

export function isNativeBusy(): boolean {
  return calls.size > 0;
}

/** Resolves when no call is under way. */
export async function nativeIdle(): Promise<void> {
  while (isNativeBusy()) await Promise.allSettled(calls);
}
