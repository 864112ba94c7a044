/**
 * What a run keeps in the DHT: every peer provides the run's CID, and owners put the heads of modules, which name a
 * peer to ask.
 */
import type { CID } from "multiformats/cid";
import { messageOf } from "../errors.ts";
import type { Network } from "../net/types.ts";
import type { KnownVersion } from "../outer/types.ts";
import { compareHeads, HeadRecord, headKey } from "./head-record.ts";

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

/** Puts a module's new head into the DHT. Throws NetworkError when nobody else keeps it. */
export async function publishHead(
  network: Network,
  run: CID,
  { module, cid, generation, tokens }: KnownVersion,
  signal: AbortSignal,
): Promise<void> {
  const record = { run, module, head: cid, generation, tokens };
  const { bytes } = await HeadRecord.seal(record, network.privateKey);
  await network.putRecord(headKey(run, module), bytes, signal);
}

/** Peers that put better heads into the DHT than the given ones, one per module. */
export async function peersWithNewerHeads(
  network: Network,
  run: CID,
  heads: KnownVersion[],
  signal: AbortSignal,
): Promise<string[]> {
  const peers = new Set<string>();
  for (const { module, cid, generation, tokens } of heads) {
    const bytes = await network.getRecord(headKey(run, module), signal);
    if (bytes === undefined) continue;
    const { value, signer } = await HeadRecord.open(bytes);
    if (compareHeads(value, { run, module, head: cid, generation, tokens }) > 0) peers.add(signer);
  }
  peers.delete(network.peerId);
  return [...peers];
}
