/**
 * What happened in a world: every line of the trace, the log that the auditor reads, the marks that were reached, and
 * what does not hold.
 */
import type { LoggedEvent } from "../../audit/events.ts";
import type { SwarmEvent } from "../../swarm/types.ts";
import { Marks } from "./marks.ts";
import type { Timeline } from "./timeline.ts";
import { describe, Trace } from "./trace.ts";

/** Lines of one time that are more than any number of peers have to say. */
const MOST_LINES = 5000;

export interface ChronicleInit {
  timeline: Timeline;
  /** Hears of every line of the trace. */
  trace: ((line: string) => void) | undefined;
  /** Ends a machine that does the same again and again while no time passes: the world could never go on. */
  stop(machine: string): void;
}

export class Chronicle {
  readonly marks = new Marks();
  /** For the auditor, oldest first. */
  readonly log: LoggedEvent[] = [];
  /** Invariants that do not hold, one line each. */
  readonly broken: string[] = [];
  readonly #init: ChronicleInit;
  readonly #trace: Trace;
  /** Lines of the trace at the present time. */
  #moment = { at: 0, lines: 0 };

  constructor(init: ChronicleInit) {
    this.#init = init;
    this.#trace = new Trace(init.trace);
  }

  say(who: string, what: string): void {
    const now = this.#init.timeline.now();
    this.#trace.line(now, who, what);
    if (this.#moment.at !== now) this.#moment = { at: now, lines: 0 };
    if (++this.#moment.lines !== MOST_LINES) return;
    this.break("progress", `${who} does the same for ever without waiting: ${what}`);
    this.#init.stop(who);
  }

  /** Notes that an invariant does not hold. */
  break(check: string, problem: string): void {
    this.broken.push(`${check}: ${problem}`);
    this.say("world", `BROKEN ${check}: ${problem}`);
  }

  /** Notes what a peer said of itself. */
  event(machine: string, event: SwarmEvent): void {
    this.log.push({ at: this.#init.timeline.now(), peer: machine, event });
    this.marks.event(event);
    const line = describe(event);
    if (line !== undefined) this.say(machine, line);
  }

  /** Notes a line of a peer's log. */
  line(machine: string, level: string, line: string): void {
    this.marks.line(line);
    this.say(machine, `${level} ${line}`);
  }

  started(machine: string, peer: string): void {
    this.say(machine, "started");
    const event: { type: string; peer: string } = { type: "started", peer };
    this.log.push({ at: this.#init.timeline.now(), peer: machine, event });
  }

  /** Tells the auditor what was done to machines, in its words (`src/audit/events.ts`). */
  fault(kind: string, machines: readonly { name: string }[]): void {
    const peers = machines.map(({ name }) => name);
    this.log.push({ at: this.#init.timeline.now(), fault: { kind, peers } });
  }

  /** sha256 of the trace. */
  digest(): string {
    return this.#trace.digest();
  }
}
