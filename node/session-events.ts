/** The lines that `join --json` prints, read again. */
import type { SessionEvent } from "./peer-session.ts";

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
