/**
 * Node.js keeps a composite signal that somebody listens to until it aborts. Those of a process that a world killed never
 * do, so each world would stay in memory. In a process that lives worlds `AbortSignal.any` is this instead, whose signals
 * hang on those that they follow and on nothing else.
 */
export function letSignalsGo(): void {
  AbortSignal.any = (signals) => {
    const either = new AbortController();
    for (const signal of signals) {
      if (signal.aborted) {
        either.abort(signal.reason);
        break;
      }
      signal.addEventListener("abort", () => either.abort(signal.reason), { once: true });
    }
    return either.signal;
  };
}
