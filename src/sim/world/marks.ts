/** Rare branches. Seeds together must reach each of them; otherwise the world is too tame. */
import type { SwarmEvent } from "../../swarm/types.ts";
import { FAULTS } from "./faults.ts";
import { MOVES } from "./moves.ts";

/** Of events, by name. */
const OF_EVENTS: Record<string, (event: SwarmEvent) => boolean> = {
  "a peer took a slot over": (event) => event.type === "lease" && event.state === "abandoned",
  "a version was folded again": (event) => event.type === "version" && event.how === "verified",
  "a version was fetched": (event) => event.type === "version" && event.how === "fetched",
  "late work was folded": (event) =>
    event.type === "version" && event.how === "folded" && event.contributions > 0 && event.generation > 12,
  "a contribution was rejected": (event) => event.type === "rejected",
  "a head was passed over": (event) => event.type === "passed-over",
  "two halves met": (event) => event.type === "split",
  "an offence was charged": (event) => event.type === "offence",
  "a peer was shut out": (event) => event.type === "blocked",
  "an unknown format was passed over": (event) => event.type === "unknown-format",
  "an object was kept for the run": (event) => event.type === "kept",
  "anti-entropy brought records": (event) => event.type === "exchange",
};

/** Of lines of the log, by name. */
const OF_LINES: Record<string, RegExp> = {
  "a round went on from its middle": /going on with round/,
  "a database was read back from its blocks": /database .* is damaged or lost/,
  "a corrupt block was dropped": /is corrupt; it is deleted/,
  "a lineage was restored": /restored \d+ records/,
};

export const MARKS: readonly string[] = [
  ...Object.keys(OF_EVENTS),
  ...Object.keys(OF_LINES),
  ...FAULTS.map((kind) => `fault: ${kind}`),
  ...Object.keys(MOVES).map((move) => `attack: ${move}`),
  "a process ended by itself",
];

export class Marks {
  readonly #reached = new Set<string>();

  event(event: SwarmEvent): void {
    for (const [name, is] of Object.entries(OF_EVENTS)) if (is(event)) this.#reached.add(name);
  }

  line(line: string): void {
    for (const [name, pattern] of Object.entries(OF_LINES)) if (pattern.test(line)) this.#reached.add(name);
  }

  reach(name: string): void {
    this.#reached.add(name);
  }

  reached(): string[] {
    return MARKS.filter((name) => this.#reached.has(name));
  }
}
