/** Keeps a peer connected to its bootstrap addresses, and remembers why it is not. */
import type { Libp2p } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { type Clock, timeout } from "../clock.ts";
import type { Logger } from "../log.ts";
import { peerOfAddress } from "./addresses.ts";
import { ADDRESS_DIAL_MS, type DialFailure, dialFailure, hungUp, OtherPeerError } from "./dial-failure.ts";
import { isRelayed } from "./scope.ts";

/** libp2p's own deadline comes first and tells more. */
const DIAL_DEADLINE_MS = ADDRESS_DIAL_MS + 2_000;
const FIRST_DELAY_MS = 500;
/** A split swarm is to notice within a minute that a bootstrap node is back. */
const LAST_DELAY_MS = 30_000;

export interface BootstrapDialer {
  start(): void;
  stop(): void;
  /** Addresses of peers that are not connected, with the reason of the last failure. */
  report(): DialFailure[];
}

/**
 * Dials every address that is not connected: at once when started and when the last connection is lost, soon when
 * one of them is, else after a delay that doubles from 0.5 s to 30 s. A bootstrap node that comes back must be
 * found again by the running swarm, or it would have nobody to introduce a newcomer to.
 */
export function createBootstrapDialer(
  libp2p: Libp2p,
  clock: Clock,
  addresses: string[],
  isPrivate: boolean,
  log: Logger,
): BootstrapDialer {
  const failures = new Map<string, DialFailure>();
  const peers = new Map(addresses.map((address) => [address, peerOfAddress(address)]));
  let delay = FIRST_DELAY_MS;
  let cancel = (): void => {};
  let dialling = false;
  let stopping = new AbortController();

  const isConnected = (address: string): boolean => {
    const peer = peers.get(address);
    return (
      peer !== undefined && libp2p.getConnections().some(({ remotePeer }) => remotePeer.toString() === peer)
    );
  };

  /**
   * Each address by itself, so that each failure has its own reason: libp2p would make one dial of all addresses of
   * a peer, and try them in turn. `won` fires when one of the peer's addresses answers.
   */
  async function dial(address: string, won: AbortController): Promise<void> {
    try {
      const late = timeout(clock, DIAL_DEADLINE_MS);
      const signal = AbortSignal.any([stopping.signal, won.signal, late]);
      const expected = peerOfAddress(address);
      const target = isRelayed(address) ? address : address.replace(/\/p2p\/[^/]+$/, "");
      const connection = await libp2p.dial(multiaddr(target), { signal });
      const found = connection.remotePeer.toString();
      if (expected !== undefined && expected !== found) {
        connection.abort(new OtherPeerError(found));
        throw new OtherPeerError(found);
      }
      peers.set(address, found);
      failures.delete(address);
      if (won.signal.aborted) await connection.close();
      else won.abort();
    } catch (error) {
      if (stopping.signal.aborted || won.signal.aborted) return;
      const failure = dialFailure(address, error, isPrivate);
      if (!failures.has(address))
        log.warn(`bootstrap ${address.replace(/\/p2p\/[^/]+$/, "")}: ${failure.error}`);
      failures.set(address, failure);
    }
  }

  /** All direct addresses of one peer at once; then, in turn, those through relays. */
  async function dialPeer(own: string[]): Promise<void> {
    const won = new AbortController();
    await Promise.all(own.filter((address) => !isRelayed(address)).map((address) => dial(address, won)));
    for (const address of own.filter(isRelayed)) if (!won.signal.aborted) await dial(address, won);
  }

  async function round(): Promise<void> {
    cancel();
    if (dialling || stopping.signal.aborted) return;
    dialling = true;
    const missing = addresses.filter((address) => !isConnected(address));
    const groups = Map.groupBy(missing, (address) => peers.get(address) ?? address);
    await Promise.all([...groups.values()].map(dialPeer));
    dialling = false;
    if (stopping.signal.aborted) return;
    // A bootstrap that takes a connection and drops it is dialled ever more seldom, too.
    delay = missing.length === 0 ? FIRST_DELAY_MS : Math.min(2 * delay, LAST_DELAY_MS);
    schedule(addresses.every(isConnected) ? LAST_DELAY_MS : delay);
  }

  function schedule(milliseconds: number): void {
    cancel();
    cancel = clock.after(milliseconds, () => void round(), { waits: false });
  }

  const onDisconnect = ({ detail }: CustomEvent): void => {
    for (const [address, peer] of peers) if (peer === String(detail)) failures.set(address, hungUp(address));
    if (libp2p.getConnections().length === 0) {
      delay = FIRST_DELAY_MS;
      void round();
    } else if (!dialling && [...peers.values()].includes(String(detail))) schedule(delay);
  };

  return {
    start() {
      if (addresses.length === 0) return;
      stopping = new AbortController();
      libp2p.addEventListener("peer:disconnect", onDisconnect);
      void round();
    },
    stop() {
      libp2p.removeEventListener("peer:disconnect", onDisconnect);
      cancel();
      stopping.abort();
    },
    report: () =>
      addresses
        .filter((address) => !isConnected(address))
        .map((address) => failures.get(address) ?? { address, cause: "silent", error: "no answer yet" }),
  };
}
