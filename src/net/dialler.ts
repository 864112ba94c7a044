/** Dials peers and addresses, and remembers of each address why it failed. */
import type { Libp2p } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { boundedMap } from "../bounded-map.ts";
import type { Clock } from "../clock.ts";
import { NetworkError } from "../errors.ts";
import { peerOfAddress } from "./addresses.ts";
import { withDeadline } from "./deadline.ts";
import { type DialFailure, dialFailures, timedOut } from "./dial-failure.ts";
import type { Network } from "./types.ts";

const DIAL_DEADLINE_MS = 30_000;
/** Failures that are remembered, the latest. */
const MAX_KEPT = 64;

export interface Dialler extends Pick<Network, "dial"> {
  /** Failures at addresses whose peers are not connected. */
  report(): DialFailure[];
}

export function createDialler(libp2p: Libp2p, clock: Clock, isPrivate: boolean): Dialler {
  const failures = boundedMap<string, DialFailure>(MAX_KEPT);

  function remember(failed: DialFailure[]): void {
    for (const failure of failed) failures.set(failure.address, failure);
  }

  async function dialOnce(target: string, signal: AbortSignal): Promise<void> {
    // In the order in which they are dialled, which is that of the errors.
    const addresses: string[] = [];
    try {
      await libp2p.dial(target.startsWith("/") ? multiaddr(target) : peerIdFromString(target), {
        signal,
        onProgress: (event: { type: string; detail?: unknown }) => {
          if (event.type === "dial-queue:calculated-addresses") addresses.push(...addressesOf(event.detail));
        },
      });
    } catch (error) {
      // Given up for another address that answered, or since the time was over.
      if (signal.aborted) {
        if (isTimeout(signal.reason)) remember(addresses.map((address) => timedOut(address)));
        throw error;
      }
      const failed = dialFailures(addresses, error, isPrivate);
      remember(failed);
      if (failed.length === 0) throw error;
      const [first] = failed;
      const reasons =
        failed.length === 1
          ? first!.error
          : failed
              .map((failure) => `${failure.address.replace(/\/p2p\/[^/]+$/, "")} ${failure.error}`)
              .join("; ");
      throw new NetworkError(`Dialling ${target} failed: ${reasons}.`, { cause: error });
    }
  }

  return {
    dial: (target, signal) =>
      withDeadline(clock, `Dialling ${target}`, DIAL_DEADLINE_MS, signal, (either) =>
        dialOnce(target, either),
      ),
    report() {
      const connected = new Set(libp2p.getPeers().map(String));
      return [...failures.values()]
        .toReversed()
        .filter(({ address }) => !connected.has(peerOfAddress(address) ?? ""));
    },
  };
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

function addressesOf(detail: unknown): string[] {
  if (!Array.isArray(detail)) return [];
  return detail.map((address: { multiaddr: Multiaddr }) => address.multiaddr.toString());
}
