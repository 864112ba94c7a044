/**
 * Calls into native code that other threads are at. Ending the process in the middle of one makes ONNX Runtime abort it
 * (onnxruntime#24486), so whoever ends it asks here first.
 */
let calls = 0;
let idle = Promise.withResolvers<void>();

/** Counts a call from now until it settles. Returns it. */
export function nativeWork<T>(call: Promise<T>): Promise<T> {
  if (calls++ === 0) idle = Promise.withResolvers();
  const ended = (): void => {
    if (--calls === 0) idle.resolve();
  };
  call.then(ended, ended);
  return call;
}

export function isNativeBusy(): boolean {
  return calls > 0;
}

/** Resolves when no call is under way. */
export async function nativeIdle(): Promise<void> {
  while (calls > 0) await idle.promise;
}
