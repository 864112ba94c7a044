/**
 * Request and response over one stream, each one length-prefixed message; see `exchange.ts` for what is in them. Both
 * sides cap sizes and time.
 */
import type { Libp2p, Stream } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { decode, encode } from "it-length-prefixed";
import { pipe } from "it-pipe";
import { type Clock, delay } from "../clock.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { withDeadline } from "./deadline.ts";
import {
  answerIn,
  checkSize,
  createTurns,
  MAX_INBOUND_REQUESTS,
  MAX_REQUEST_BYTES,
  REQUEST_DEADLINE_MS,
  respond,
} from "./exchange.ts";
import type { Network, PeerJudge } from "./types.ts";

const PIECE_BYTES = 64 << 10;
/** A message of 4 MiB in packets of 64 bytes. */
const MAX_PIECES = 65_536;

/** What a stream yields. */
export type Pieces = AsyncIterable<Parameters<Stream["send"]>[0]>;
export type Requests = Pick<Network, "handle" | "request">;

export function createRequests(libp2p: Libp2p, clock: Clock, log: Logger, { blocked }: PeerJudge): Requests {
  const turn = createTurns();

  return {
    async handle(protocol, handler) {
      const serve = async (stream: Stream, from: string): Promise<void> => {
        if (blocked(from)) return stream.abort(new Error("this peer is blocked"));
        // Nobody waits for the answer any more.
        const gone = new AbortController();
        const lost = (): void => gone.abort();
        stream.addEventListener("close", lost);
        try {
          const what = `Answering ${protocol} to ${from}`;
          await withDeadline(clock, what, REQUEST_DEADLINE_MS, gone.signal, async (signal) => {
            const wait = turn(from, clock.now());
            if (wait > 0) await delay(clock, wait, signal);
            const request = await firstMessage(stream, MAX_REQUEST_BYTES);
            await send(stream, await respond(() => handler(from, request), protocol, log), signal);
            stream.removeEventListener("close", lost);
            await stream.close({ signal });
          });
        } catch (error) {
          log.debug(messageOf(error));
          stream.abort(asError(error));
        }
      };
      await libp2p.handle(
        protocol,
        (stream, connection) => void serve(stream, connection.remotePeer.toString()),
        {
          maxInboundStreams: MAX_INBOUND_REQUESTS,
          maxOutboundStreams: 64,
          runOnLimitedConnection: true,
        },
      );
    },

    async request(peer, protocol, data, signal) {
      checkSize("request", protocol, data);
      const what = `Asking ${peer} for ${protocol}`;
      const response = await withDeadline(clock, what, REQUEST_DEADLINE_MS, signal, async (either) => {
        const stream = await libp2p.dialProtocol(peerIdFromString(peer), protocol, {
          signal: either,
          runOnLimitedConnection: true,
        });
        const abort = (): void => stream.abort(new Error("gave up"));
        either.addEventListener("abort", abort);
        try {
          // Listen first: the peer may refuse before it has read all.
          const received = firstMessage(stream, MAX_REQUEST_BYTES + 1);
          received.catch(() => {});
          await send(stream, data, either);
          await stream.close({ signal: either });
          return await received;
        } catch (error) {
          stream.abort(asError(error));
          throw error;
        } finally {
          either.removeEventListener("abort", abort);
        }
      });
      return answerIn(response, what);
    },
  };
}

/** The first message of a stream. A stream that is cut ends without an error, so the length decides. */
export async function firstMessage(source: Pieces, maxDataLength: number): Promise<Uint8Array> {
  const message = await pipe(
    source,
    countPieces,
    (pieces) => decode(pieces, { maxDataLength }),
    async (messages) => {
      for await (const first of messages) return first.subarray();
      return undefined;
    },
  );
  if (message === undefined) throw new Error("the stream ended early");
  return message;
}

/** Refuses a stream of crumbs: each is kept with a hundred bytes of its own until the message is whole. */
async function* countPieces(source: Pieces): Pieces {
  let pieces = 0;
  for await (const piece of source) {
    if (++pieces > MAX_PIECES) throw new Error(`the message is cut into more than ${MAX_PIECES} pieces`);
    yield piece;
  }
}

/** Sends one message in pieces, each when the one before has left: more would pile up in memory. */
async function send(stream: Stream, message: Uint8Array, signal: AbortSignal): Promise<void> {
  const frame = encode.single(message, { maxDataLength: MAX_REQUEST_BYTES + 1 });
  for (let at = 0; at < frame.byteLength; at += PIECE_BYTES) {
    signal.throwIfAborted();
    if (!stream.send(frame.sublist(at, Math.min(at + PIECE_BYTES, frame.byteLength))))
      await drained(stream, signal);
  }
}

/** `stream.onDrain()` resolves at once after its first use (@libp2p/utils 7.4.1), so wait for the event. */
async function drained(stream: Stream, signal: AbortSignal): Promise<void> {
  if (!stream.writableNeedsDrain) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = (): void => reject(new Error("the peer closed the stream"));
  const aborted = (): void => reject(asError(signal.reason));
  stream.addEventListener("drain", () => resolve(), { once: true });
  stream.addEventListener("close", closed, { once: true });
  signal.addEventListener("abort", aborted, { once: true });
  try {
    await promise;
  } finally {
    stream.removeEventListener("close", closed);
    signal.removeEventListener("abort", aborted);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}
