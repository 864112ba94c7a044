/**
 * A cap on what a node sends and on what it receives, over all its connections together: gossip, requests, blocks
 * and the DHT. It is applied where libp2p hands over a raw connection, so it counts everything but the headers
 * of TCP and IP.
 */
import type { MessageStream } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import { TokenBucket } from "./token-bucket.ts";

/** How much may be saved up while nothing is sent, in time: also what a late timer may catch up. */
const BURST_SECONDS = 0.25;
/** A piece takes at most this long, so that several connections and small messages take turns. */
const PIECE_SECONDS = 0.05;
const SMALLEST_PIECE = 4 << 10;
const LARGEST_PIECE = 64 << 10;

type ByteList = Exclude<Parameters<MessageStream["send"]>[0], Uint8Array>;

/** The side of libp2p's connections that faces the transport, which their interface does not declare. */
interface RawConnection {
  sendData(data: ByteList): { sentBytes: number; canSendMore: boolean };
  onData(data: { byteLength: number }): void;
  sendPause(): void;
  sendResume(): void;
}

function isRaw(connection: MessageStream): connection is MessageStream & RawConnection {
  return ["sendData", "onData", "sendPause", "sendResume"].every((name) => name in connection);
}

/**
 * Makes the function that puts a connection under one cap with all others, each direction for itself. A websocket
 * cannot be made to read more slowly, so what it receives is counted but only held up on the other connections.
 */
export function createBandwidthLimit(
  bytesPerSecond: number,
  clock: Clock,
): (connection: MessageStream) => void {
  const bucket = (): TokenBucket =>
    new TokenBucket(bytesPerSecond, bytesPerSecond * BURST_SECONDS, clock.now());
  const up = bucket();
  const down = bucket();
  const piece = Math.round(Math.min(LARGEST_PIECE, Math.max(SMALLEST_PIECE, bytesPerSecond * PIECE_SECONDS)));

  return (connection) => {
    if (!isRaw(connection)) throw new Error("this version of libp2p has connections of another kind");
    limitSending(connection, up, piece, clock);
    limitReceiving(connection, down, clock);
  };
}

/** Sends a piece whenever nothing is owed; in between the connection is "full", as a slow socket would be. */
function limitSending(
  connection: MessageStream & RawConnection,
  bucket: TokenBucket,
  piece: number,
  clock: Clock,
): void {
  const send = connection.sendData.bind(connection);
  let cancel: (() => void) | undefined;
  const continueIn = (milliseconds: number): void => {
    cancel ??= clock.after(milliseconds, () => {
      cancel = undefined;
      connection.dispatchEvent(new Event("drain"));
    });
  };
  connection.addEventListener("close", () => cancel?.());
  connection.sendData = (data) => {
    // A drain event of the socket may come before its time.
    const owed = bucket.wait(clock.now());
    if (owed > 0) {
      continueIn(owed);
      return { sentBytes: 0, canSendMore: false };
    }
    const sent = send(data.sublist(0, Math.min(piece, data.byteLength)));
    const wait = bucket.take(sent.sentBytes, clock.now());
    if (wait === 0 || !sent.canSendMore) return sent;
    continueIn(wait);
    return { ...sent, canSendMore: false };
  };
}

/** Stops reading while something is owed; TCP then slows the sender down. */
function limitReceiving(connection: MessageStream & RawConnection, bucket: TokenBucket, clock: Clock): void {
  const receive = connection.onData.bind(connection);
  const pause = connection.sendPause.bind(connection);
  const resume = connection.sendResume.bind(connection);
  let cancel: (() => void) | undefined;
  let paused = false;
  const hold = (milliseconds: number): void => {
    cancel = clock.after(milliseconds, () => {
      cancel = undefined;
      const owed = bucket.wait(clock.now());
      if (owed > 0) hold(owed);
      else if (!paused) resume();
    });
  };
  connection.addEventListener("close", () => cancel?.());
  connection.onData = (data) => {
    const owed = bucket.take(data.byteLength, clock.now());
    if (owed > 0 && cancel === undefined) {
      pause();
      hold(owed);
    }
    receive(data);
  };
  // Whoever reads the connection may pause it, too.
  connection.sendPause = () => {
    paused = true;
    pause();
  };
  connection.sendResume = () => {
    paused = false;
    if (cancel === undefined) resume();
  };
}
