/**
 * Lets a peer ask again for a block that it was sent a moment ago and has lost since. The ledger of @helia/bitswap
 * 4.0.19 takes a message in first and forgets only then what it has sent: the new want counts as the old one, is
 * forgotten with it, and never answered. So what was sent is forgotten before a message is taken in.
 */
import type { PeerId } from "@libp2p/interface";

const BITSWAP = "bitswap";

/** What Helia and its bitswap are made of, which their interfaces do not declare. */
interface Inside {
  blockBrokers: { name: string; bitswap?: { peerWantLists?: Partial<Ledgers> } }[];
}

/** What other peers want, and what of it they were sent. */
interface Ledgers {
  receiveMessage(peer: PeerId, message: unknown): void;
  /** Forgets what was sent, as `doNotResendBlockWindow` says, and lists the rest. */
  wantListForPeer(peer: PeerId): unknown;
}

/** Call it once bitswap has started. */
export function answerRepeatedWants(helia: object): void {
  const { blockBrokers = [] } = helia as Partial<Inside>;
  const ledgers = blockBrokers.find(({ name }) => name === BITSWAP)?.bitswap?.peerWantLists;
  const receive = ledgers?.receiveMessage?.bind(ledgers);
  const forget = ledgers?.wantListForPeer?.bind(ledgers);
  if (ledgers === undefined || receive === undefined || forget === undefined)
    throw new Error("this version of bitswap keeps its ledgers elsewhere");
  ledgers.receiveMessage = (peer, message) => {
    forget(peer);
    receive(peer, message);
  };
}
