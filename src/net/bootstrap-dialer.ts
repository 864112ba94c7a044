/** Keeps a peer connected to its bootstrap addresses, and remembers why it is not. */
import type { Libp2p } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { peerOfAddress } from "./addresses.ts";
import { withDeadline } from "./deadline.ts";

const DIAL_DEADLINE_MS = 15_000;
const FIRST_DELAY_MS = 500;
/** A split swarm is to notice within a minute that a bootstrap node is back. */
const LAST_DELAY_MS = 30_000;

/** Why the last dial of a bootstrap address failed. */
export interface BootstrapFailure {
  address: string;
  error: string;
}

export interface BootstrapDialer {
  start(): void;
  stop(): void;
  /** Addresses that are not connected, with the reason of the last failure. */
  report(): BootstrapFailure[];
}

/**
 * Dials every address that is not connected: at once when started and when the last connection is lost,
 * else after a delay that doubles from 0.5 s to 30 s. A bootstrap node that comes back must be
 * found again by the running swarm, or it would have nobody to introduce a newcomer to.
 */
export function createBootstrapDialer(libp2p: Libp2p, addresses: string[], log: Logger): BootstrapDialer {
  const failures = new Map<string, string>();
  const peers = new Map(addresses.map((address) => [address, peerOfAddress(address)]));
  let delay = FIRST_DELAY_MS;
  let timer: NodeJS.Timeout | undefined;
  let dialling = false;
  let stopping = new AbortController();

  const isConnected = (address: string): boolean => {
    const peer = peers.get(address);
    return (
      peer !== undefined && libp2p.getConnections().some(({ remotePeer }) => remotePeer.toString() === peer)
    );
  };

  async function dial(address: string): Promise<void> {
    try {
      await withDeadline("The dial", DIAL_DEADLINE_MS, stopping.signal, async (signal) => {
        const connection = await libp2p.dial(multiaddr(address), { signal });
        peers.set(address, connection.remotePeer.toString());
      });
      failures.delete(address);
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (!failures.has(address)) log.warn(`bootstrap ${address}: ${messageOf(error)}`);
      failures.set(address, messageOf(error));
    }
  }

  async function round(): Promise<void> {
    clearTimeout(timer);
    if (dialling || stopping.signal.aborted) return;
    dialling = true;
    const missing = addresses.filter((address) => !isConnected(address));
    await Promise.all(missing.map(dial));
    dialling = false;
    if (stopping.signal.aborted) return;
    const done = missing.every(isConnected);
    delay = done ? FIRST_DELAY_MS : Math.min(2 * delay, LAST_DELAY_MS);
    timer = setTimeout(() => void round(), done ? LAST_DELAY_MS : delay).unref();
  }

  const onDisconnect = (): void => {
    if (libp2p.getConnections().length > 0) return;
    delay = FIRST_DELAY_MS;
    void round();
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
      clearTimeout(timer);
      stopping.abort();
    },
    report: () =>
      [...failures]
        .filter(([address]) => !isConnected(address))
        .map(([address, error]) => ({ address, error })),
  };
}
