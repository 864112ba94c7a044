/** The lines that `join --json` prints, written and read. */
import type { SwarmEvent } from "../src/swarm/types.ts";

/** What `join --json` prints, one object a line; the swarm's own events and these. */
export type SessionEvent =
  | SwarmEvent
  /** Every ten seconds: rounds of all paths together, and an estimate for the whole run; null while there is none. */
  | { type: "progress"; rounds: number; of: number; secondsLeft: number | null }
  | { type: "started"; peer: string; run: string; addresses: string[]; invite: string | undefined }
  /** Sent when they change. `relays` are this peer's addresses through relays. */
  | { type: "reach"; relays: string[]; addresses: string[]; invite: string | undefined }
  | { type: "stopped"; bytesUp: number; bytesDown: number; seconds: number };

/** The event of a line; undefined when it is none, for instance because its writer was killed within it. */
export function readEvent(line: string): SessionEvent | undefined {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return undefined;
  }
  const known =
    typeof event === "object" && event !== null && "type" in event && typeof event.type === "string";
  return known ? (event as SessionEvent) : undefined;
}
