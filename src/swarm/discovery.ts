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
  /** Those of them that were dialled: whether in vain, and by which addresses else. */
  dialled: { peer: string; addresses: string[]; connected: boolean }[];
  /** Why the last dial or search failed, if one did. */
  failure: string | undefined;
}

export interface DiscoverOptions {
  /** Providers that are of no interest, for instance since they are members already. */
  skip?(peer: string): boolean;
  /** Ends the search after so many others. */
  enough?: number;
}

/** Searches once for providers of the run and connects to those that are not connected yet. */
export async function discover(
  network: Pick<Network, "peerId" | "findProviders" | "connections" | "dial">,
  run: CID,
  signal: AbortSignal,
  { skip = () => false, enough = ENOUGH }: DiscoverOptions = {},
): Promise<Discovery> {
  const found: Discovery = { providers: [], dialled: [], failure: undefined };
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(SEARCH_MS)]);
  const seen = new Set([network.peerId]);
  try {
    for await (const { peer, addresses } of network.findProviders(run, deadline)) {
      if (seen.has(peer) || skip(peer)) continue;
      seen.add(peer);
      found.providers.push(peer);
      if (!network.connections().some((connection) => connection.peer === peer)) {
        const failure = await dialAny(network, [peer, ...addresses], deadline);
        found.dialled.push({ peer, addresses, connected: failure === undefined });
        found.failure = failure ?? found.failure;
      }
      if (found.providers.length >= enough) break;
    }
  } catch (error) {
    found.failure = messageOf(error);
  }
  return found;
}

/** Dials one target after the other until one is reached; the last failure when none is. */
export async function dialAny(
  network: Pick<Network, "dial">,
  targets: string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  let failure: string | undefined;
  for (const target of targets)
    try {
      await network.dial(target, signal);
      return undefined;
    } catch (error) {
      failure = messageOf(error);
    }
  return failure;
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
