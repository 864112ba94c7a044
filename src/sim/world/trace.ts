/** What happened in a world, one dense line an event: `seconds machine what`. Two executions of one seed give the same. */
import { createHash } from "node:crypto";
import type { SwarmEvent } from "../../swarm/types.ts";

export class Trace {
  readonly #hash = createHash("sha256");
  readonly #write: ((line: string) => void) | undefined;

  /** @param write hears of every line; without it only the digest is kept */
  constructor(write?: (line: string) => void) {
    this.#write = write;
  }

  line(milliseconds: number, machine: string, what: string): void {
    const line = `${(milliseconds / 1000).toFixed(3).padStart(10)} ${machine.padEnd(8)} ${what}`;
    this.#hash.update(`${line}\n`);
    this.#write?.(line);
  }

  digest(): string {
    return this.#hash.digest("hex");
  }
}

/** An event as a line says it; undefined for what would only fill the trace. */
export function describe(event: SwarmEvent): string | undefined {
  const slot = (at: { round: number; path: number; replica: number }): string =>
    `${at.round}/${at.path}/${at.replica}`;
  switch (event.type) {
    case "step":
      return undefined;
    case "lease":
      return `${event.state} ${slot(event)}${event.reason === undefined ? "" : ` ${event.reason}`}`;
    case "contribution":
      return `contribution ${event.module} ${slot(event)} ${short(event.cid)} of ${short(event.from)}`;
    case "version":
      return `${event.how} ${event.module} ${event.generation} ${short(event.cid)} of ${event.contributions}`;
    case "head":
      return `head ${event.module} ${event.generation} ${short(event.cid)}`;
    default: {
      const { type, ...rest } = event;
      return `${type} ${Object.values(rest)
        .map((value) =>
          typeof value === "string" && value.length > 40 && !value.includes(" ") ? short(value) : value,
        )
        .join(" ")}`;
    }
  }
}

/** The end of a CID or peer id: beginnings are alike. */
export function short(id: string): string {
  return id.slice(-6);
}
