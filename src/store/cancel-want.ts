/**
 * Takes a want back. Helia's sessions never do: a peer that lacked the block, or was too slow, would remember
 * the want and send the block with whatever it is asked for next, perhaps much later, for nothing.
 */
import type { Libp2p } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { encode } from "it-length-prefixed";
import type { CID } from "multiformats/cid";
import { type Clock, timeout } from "../clock.ts";

const BITSWAP = "/ipfs/bitswap/1.2.0";
const DEADLINE_MS = 5_000;

/** Best effort: without it the peer sends a block too many. */
export async function cancelWant(
  libp2p: Pick<Libp2p, "getConnections">,
  holder: string,
  cid: CID,
  clock: Clock,
): Promise<void> {
  try {
    const [connection] = libp2p.getConnections(peerIdFromString(holder));
    const signal = timeout(clock, DEADLINE_MS);
    const stream = await connection?.newStream(BITSWAP, { signal });
    stream?.send(encode.single(cancelMessage(cid)));
    await stream?.close({ signal });
  } catch {
    // The peer is gone, and its memory of our wants with it.
  }
}

/** Bitswap 1.2 in protobuf: Message { wantlist = 1 { entries = 1 { block = 1: the CID, cancel = 3: true } } }. */
function cancelMessage(cid: CID): Uint8Array {
  const entry = Buffer.concat([field(1, cid.bytes), Buffer.of((3 << 3) | 0, 1)]);
  return field(1, field(1, entry));
}

/** A length-delimited field; a sha2-256 CID keeps all lengths below 128, one byte. */
function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of((number << 3) | 2, content.byteLength), content]);
}
