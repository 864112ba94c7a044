import type { LoggedEvent } from "./event-log.ts";

/**
 * Milliseconds from the last fault's end until all peers had the same heads for the first time (contract a), or
 * undefined when they never had. Pure.
 */
export function agreementMs(events: readonly LoggedEvent[], peers: number): number | undefined {
  const last = events.findLast((event) => "fault" in event)?.at ?? 0;
  const heads = new Map<string, Map<string, string>>();
  const agree = (): boolean => {
    if (heads.size < peers) return false;
    const digests = [...heads.values()].map((of) => JSON.stringify([...of].toSorted()));
    return new Set(digests).size === 1;
  };
  for (const [index, entry] of events.entries()) {
    if ("fault" in entry) {
      // A peer that is started again tells its heads anew.
      if (entry.fault.kind === "wipe") for (const peer of entry.fault.peers) heads.delete(peer);
    } else if (entry.event.type === "head") {
      const { module, cid } = entry.event;
      heads.set(entry.peer, (heads.get(entry.peer) ?? new Map<string, string>()).set(module, cid));
    }
    const next = events[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (next > last && agree()) return Math.max(0, entry.at - last);
  }
  return undefined;
}
