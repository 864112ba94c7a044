/** How a peer finds the others of its run: through the DHT, in which every peer provides the run's CID. */
import type { CID } from "multiformats/cid";
import { messageOf } from "../errors.ts";
import type { Network } from "../net/types.ts";

const SEARCH_MS = 10_000;
/** Peers that are enough to begin with; gossip and heartbeats bring the rest. */
const ENOUGH = 8;

export interface Discovery {
  /** Peers that provide the run, whether or not a dial succeeded. */
  providers: string[];
  /** Why the last dial or search failed, if one did. */
  failure: string | undefined;
}

/** Searches once for providers of the run and connects to those that are not connected yet. */
export async function discover(network: Network, run: CID, signal: AbortSignal): Promise<Discovery> {
  const providers = new Set<string>();
  let failure: string | undefined;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(SEARCH_MS)]);
  try {
    for await (const { peer, addresses } of network.findProviders(run, deadline)) {
      if (peer === network.peerId || providers.has(peer)) continue;
      providers.add(peer);
      const connected = network.connections().some((connection) => connection.peer === peer);
      for (const target of connected ? [] : [peer, ...addresses])
        try {
          await network.dial(target, deadline);
          break;
        } catch (error) {
          failure = messageOf(error);
        }
      if (providers.size >= ENOUGH) break;
    }
  } catch (error) {
    failure = messageOf(error);
  }
  return { providers: [...providers], failure };
}
