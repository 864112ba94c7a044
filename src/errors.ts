/**
 * Expected failures. Each has a name, says in one sentence what went wrong and what to do next,
 * and reaches a user as one line. Anything else that is thrown is a bug and keeps its stack.
 */
export class PathweaveError extends Error {
  override name = "PathweaveError";
}

/** A command line, environment variable or file that the user wrote is wrong. */
export class UsageError extends PathweaveError {
  override name = "UsageError";
}

/** A run configuration or manifest is invalid; the message names the key and, for YAML, the line. */
export class ManifestError extends PathweaveError {
  override name = "ManifestError";
}

/** An invite is truncated, corrupt or of another format. */
export class InviteError extends PathweaveError {
  override name = "InviteError";
}

/** A corpus cannot be read or is too small for the run. */
export class CorpusError extends PathweaveError {
  override name = "CorpusError";
}

/** This machine cannot hold or train the run; the message carries the numbers. */
export class CapacityError extends PathweaveError {
  override name = "CapacityError";
}

/** Training left the numbers that a network can have. */
export class DivergedError extends PathweaveError {
  override name = "DivergedError";
}

/** Bytes that came from a peer or a disk are malformed, oversized, forged or of another run. */
export class InvalidObjectError extends PathweaveError {
  override name = "InvalidObjectError";
}

/** An object of a kind or format that this Pathweave does not know: a newer one may have made it, which is no fault. */
export class UnknownFormatError extends InvalidObjectError {
  override name = "UnknownFormatError";
}

/** A record that is well-formed, but a newer one is known: whoever meant to put it came second, which is no fault. */
export class OutdatedError extends InvalidObjectError {
  override name = "OutdatedError";
}

/** A block, record or peer could not be had in time; the message names what was tried and why each try failed. */
export class UnavailableError extends PathweaveError {
  override name = "UnavailableError";
  /** Of a fetch: blocks that are still missing. As long as it changes between tries, there is progress. */
  readonly missing: number | undefined;

  constructor(message: string, missing?: number) {
    super(message);
    this.missing = missing;
  }
}

/** The disk is full, read-only, locked by another process or otherwise refuses. */
export class StorageError extends PathweaveError {
  override name = "StorageError";
}

/** No listening address, no bootstrap, or a peer that refuses to talk. */
export class NetworkError extends PathweaveError {
  override name = "NetworkError";
}

/** The signals that end a command, and the number that a shell adds to 128 for its exit code. */
export const INTERRUPTS = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 } as const;

export type Interrupt = keyof typeof INTERRUPTS;

/** The user ended a command with Ctrl-C, closed its terminal or stopped reading what it prints; the message says what is kept. */
export class InterruptedError extends PathweaveError {
  override name = "InterruptedError";
  readonly signal: Interrupt;

  constructor(signal: Interrupt, message = "Interrupted; nothing was changed.") {
    super(message);
    this.signal = signal;
  }
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\s+/g, " ").trim();
}
