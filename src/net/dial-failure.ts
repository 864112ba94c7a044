/** Why an address could not be dialled, in words that fit a line beside it. Pure. */
import { messageOf } from "../errors.ts";
import { reasonOf } from "./deadline.ts";

/** How long libp2p tries one address, handshakes included. */
export const ADDRESS_DIAL_MS = 6_000;

/**
 * `refused`: nobody listens there. `silent`: no answer at all. `unreachable`: no way to the network or host.
 * `unknown-name`: no such host name. `other-peer`: another peer. `handshake`: connected, but not to a peer of this
 * swarm. `closed`: a peer that connected and hung up. `relay`: the relay has no place for the peer, or
 * is none.
 */
export type DialCause =
  | "refused"
  | "silent"
  | "unreachable"
  | "unknown-name"
  | "other-peer"
  | "handshake"
  | "closed"
  | "relay"
  | "other";

export interface DialFailure {
  address: string;
  cause: DialCause;
  /** A few words. */
  error: string;
}

/** Thrown where the peer at an address is not the one that the address names. */
export class OtherPeerError extends Error {
  override name = "OtherPeerError";
}

const CAUSE_OF_CODE: Readonly<Record<string, DialCause>> = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "silent",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EINVAL: "unreachable",
  EACCES: "unreachable",
  ENOTFOUND: "unknown-name",
  EAI_AGAIN: "unknown-name",
  ECONNRESET: "handshake",
  EPIPE: "handshake",
};
const CAUSE_OF_NAME: Readonly<Record<string, DialCause>> = {
  OtherPeerError: "other-peer",
  UnexpectedPeerError: "other-peer",
  EncryptionFailedError: "handshake",
  StreamResetError: "handshake",
  UnexpectedEOFError: "handshake",
  MuxerUnavailableError: "handshake",
  ConnectionClosedError: "handshake",
  InvalidMessageError: "relay",
  UnsupportedProtocolError: "relay",
  AbortError: "silent",
};

function causeOf(error: unknown): DialCause {
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0]);
  if (!(error instanceof Error)) return "other";
  if (error.message.includes("does not match expected remote identity")) return "other-peer";
  // A signal's own error ends the handshake of a private swarm; while TCP connects it is libp2p's.
  if (error.name === "TimeoutError") return error instanceof DOMException ? "handshake" : "silent";
  const code = "code" in error ? String(error.code) : "";
  return CAUSE_OF_CODE[code] ?? CAUSE_OF_NAME[error.name] ?? "other";
}

/** @param isPrivate whether this node is in a private swarm, where a wrong key shows as a failed handshake */
export function dialFailure(address: string, error: unknown, isPrivate: boolean): DialFailure {
  const cause = causeOf(error);
  return { address, cause, error: wordsOf(cause, error, isPrivate) };
}

/**
 * Takes the error of a dial of several addresses apart: libp2p tries them in turn and puts their errors in that order
 * into one. Empty when it did not come to a dial.
 */
export function dialFailures(
  addresses: readonly string[],
  error: unknown,
  isPrivate: boolean,
): DialFailure[] {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return addresses
    .slice(0, errors.length)
    .map((address, index) => dialFailure(address, errors[index], isPrivate));
}

export function timedOut(address: string): DialFailure {
  return { address, cause: "silent", error: wordsOf("silent", undefined, false) };
}

export function hungUp(address: string): DialFailure {
  return { address, cause: "closed", error: wordsOf("closed", undefined, false) };
}

function wordsOf(cause: DialCause, error: unknown, isPrivate: boolean): string {
  switch (cause) {
    case "refused":
      return "connection refused";
    case "silent":
      return `timed out after ${ADDRESS_DIAL_MS / 1000} s`;
    case "unreachable":
      return "no way there from this machine";
    case "unknown-name":
      return "no such host name";
    case "other-peer":
      return "is another peer than the invite names";
    case "handshake":
      if (isPrivate) return "wrong key (private swarm)";
      return "no handshake (a private swarm?)";
    case "closed":
      return "connected, then closed by the peer";
    case "relay":
      return "the relay does not know the peer";
    case "other":
      return reasonOf(error) || messageOf(error);
  }
}
