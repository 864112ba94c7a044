/** Everything that peers of a local swarm say and that is done to them, one JSON object a line, with times. */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import type { LocalSwarm } from "../local-swarm.ts";
import type { SessionEvent } from "../session-events.ts";
import type { FaultKind } from "./schedule.ts";

export type LoggedFault = FaultKind | "resume" | "heal" | "fast" | "restart";

export type LoggedEvent =
  /** `at` in ms since the log began. */
  | { at: number; peer: string; event: SessionEvent }
  | { at: number; fault: { kind: LoggedFault; peers: string[] } };

export interface EventLog {
  readonly events: readonly LoggedEvent[];
  /** Milliseconds since the log began. */
  now(): number;
  follow(swarm: LocalSwarm): void;
  fault(kind: LoggedFault, peers: string[]): void;
  close(): Promise<void>;
}

export function createEventLog(file: string): EventLog {
  const stream = createWriteStream(file);
  const events: LoggedEvent[] = [];
  const began = performance.now();
  const now = (): number => Math.round(performance.now() - began);
  const add = (event: LoggedEvent): void => {
    events.push(event);
    stream.write(`${JSON.stringify(event)}\n`);
  };
  return {
    events,
    now,
    follow: (swarm) => swarm.onEvent((peer, event) => add({ at: now(), peer: peer.name, event })),
    fault: (kind, peers) => add({ at: now(), fault: { kind, peers } }),
    async close() {
      stream.end();
      await finished(stream);
    },
  };
}
