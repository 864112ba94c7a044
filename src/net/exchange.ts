/**
 * What one request and its response are, whatever carries them. The first byte of a response is 0 for an answer, which
 * follows, or 1 for a refusal, whose reason in UTF-8 follows.
 */
import { boundedMap } from "../bounded-map.ts";
import { messageOf, NetworkError, PathweaveError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { TokenBucket } from "./token-bucket.ts";

export const MAX_REQUEST_BYTES = 4 << 20;
/** For a whole exchange. 4 MiB take 17 s at 2 Mbit/s. */
export const REQUEST_DEADLINE_MS = 60_000;
/** Requests of one protocol that one connection may have open here. */
export const MAX_INBOUND_REQUESTS = 16;
/** Requests of one peer that are answered at once, and then in a second; more wait. A joiner catches up with dozens. */
const REQUEST_BURST = 100;
const REQUESTS_PER_SECOND = 20;
/** Peers whose requests are counted; the longest silent is forgotten first. */
const MAX_COUNTED = 4096;
const MAX_REASON_BYTES = 400;
const ANSWER = 0;
const REFUSAL = 1;

/** Makes the function that tells how many milliseconds a peer's request waits before it is read. */
export function createTurns(): (peer: string, now: number) => number {
  const buckets = boundedMap<string, TokenBucket>(MAX_COUNTED);
  return (peer, now) => {
    const bucket = buckets.get(peer) ?? new TokenBucket(REQUESTS_PER_SECOND, REQUEST_BURST, now);
    buckets.set(peer, bucket);
    return bucket.take(1, now);
  };
}

/** The response to a request: expected failures are told to the peer, bugs only to our own log. */
export async function respond(
  handler: () => Promise<Uint8Array>,
  protocol: string,
  log: Logger,
): Promise<Uint8Array> {
  try {
    const value = await handler();
    checkSize("response", protocol, value);
    return Buffer.concat([Buffer.of(ANSWER), value]);
  } catch (error) {
    if (!(error instanceof PathweaveError)) log.error(`answering ${protocol} failed: ${messageOf(error)}`);
    const reason = error instanceof PathweaveError ? messageOf(error) : "internal error";
    return Buffer.concat([Buffer.of(REFUSAL), Buffer.from(reason).subarray(0, MAX_REASON_BYTES)]);
  }
}

/** The answer in a response; throws NetworkError when it is a refusal or none. `what` names the request. */
export function answerIn(response: Uint8Array, what: string): Uint8Array {
  if (response[0] === ANSWER) return response.subarray(1);
  if (response[0] !== REFUSAL) throw new NetworkError(`${what} failed: the response is malformed.`);
  const reason = new TextDecoder().decode(response.subarray(1, 1 + MAX_REASON_BYTES));
  throw new NetworkError(`${what} failed: it refused, saying "${messageOf(printable(reason))}".`);
}

/** Throws NetworkError. */
export function checkSize(kind: "request" | "response", protocol: string, data: Uint8Array): void {
  if (data.byteLength > MAX_REQUEST_BYTES)
    throw new NetworkError(
      `A ${kind} of ${data.byteLength} bytes is over the limit of ${MAX_REQUEST_BYTES} on ${protocol}; send it as blocks.`,
    );
}

/** Text from a peer without control characters, which could write to the user's terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, " ");
}
