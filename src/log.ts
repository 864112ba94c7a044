/**
 * Logging for people and for programs. A component logs dense one-line messages; the sink decides
 * how they look. Structured facts that other programs follow are peer events (`src/peer.ts`), not logs.
 */
export type Level = "debug" | "info" | "warn" | "error";

export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  /** The same sink under the name of a component, such as `swarm`. */
  component(name: string): Logger;
}

const ORDER: Level[] = ["debug", "info", "warn", "error"];

/** A logger that writes lines `12:00:01.234 warn swarm: message` of `level` and above. */
export function createLogger(
  level: Level = "info",
  write: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
  name = "",
): Logger {
  const at = (own: Level) => (message: string) => {
    if (ORDER.indexOf(own) < ORDER.indexOf(level)) return;
    const time = new Date().toISOString().slice(11, 23);
    write(`${time} ${own}${name === "" ? "" : ` ${name}`}: ${message}`);
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    component: (component) => createLogger(level, write, component),
  };
}

/** A logger that says nothing. */
export const silentLogger: Logger = createLogger("error", () => {});
