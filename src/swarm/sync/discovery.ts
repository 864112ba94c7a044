/**
 * What a run keeps in the DHT: every peer provides the run's CID, and owners put the heads of modules, which name a
 * peer to ask.
 */
import type { CID } from "multiformats/cid";
import { type Clock, timeout } from "../../clock.ts";
import { messageOf, OutdatedError } from "../../errors.ts";
import type { Network } from "../../net/types.ts";
import type { KnownVersion } from "../../outer/types.ts";
import { HeadRecord, headKey, namesBetterHead } from "./head-record.ts";

const SEARCH_MS = 10_000;
/** For one peer, all its addresses together. */
const DIAL_MS = 10_000;
/** Peers that are enough to begin with; gossip and heartbeats bring the rest. */
const ENOUGH = 8;

export interface Discovery {
  /** Providers of the run, whether or not a dial succeeded. */
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
  /** Ends it, too, as soon as a dial succeeds; the other dials go on by themselves. */
  untilConnected?: boolean;
}

/**
 * Searches once for providers of the run and connects to those that are not connected yet. They are dialled all at
 * once: one that hangs must not use up the time of the others.
 */
export async function discover(
  clock: Clock,
  network: Pick<Network, "peerId" | "findProviders" | "connections" | "dial">,
  run: CID,
  signal: AbortSignal,
  { skip = () => false, enough = ENOUGH, untilConnected = false }: DiscoverOptions = {},
): Promise<Discovery> {
  const found: Discovery = { providers: [], dialled: [], failure: undefined };
  const end = new AbortController();
  const connected = Promise.withResolvers<void>();

  async function connect(peer: string, addresses: string[]): Promise<void> {
    if (network.connections().some((connection) => connection.peer === peer)) return;
    const failure = await dialAny(clock, network, [peer, ...addresses], signal);
    if (end.signal.aborted) return;
    found.dialled.push({ peer, addresses, connected: failure === undefined });
    if (failure !== undefined) found.failure = failure;
    else if (untilConnected) connected.resolve();
  }

  async function search(): Promise<void> {
    const deadline = AbortSignal.any([signal, end.signal, timeout(clock, SEARCH_MS)]);
    const seen = new Set([network.peerId]);
    const dials: Promise<void>[] = [];
    try {
      for await (const { peer, addresses } of network.findProviders(run, deadline)) {
        if (seen.has(peer) || skip(peer)) continue;
        seen.add(peer);
        found.providers.push(peer);
        dials.push(connect(peer, addresses));
        if (found.providers.length >= enough) break;
      }
    } catch (error) {
      found.failure = messageOf(error);
    }
    await Promise.all(dials);
  }

  await Promise.race([search(), connected.promise]);
  end.abort();
  return found;
}

/** Dials all targets at once, which are of one peer, until one is reached; a failure when none is. */
export async function dialAny(
  clock: Clock,
  network: Pick<Network, "dial">,
  targets: string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const reached = new AbortController();
  const either = AbortSignal.any([signal, reached.signal, timeout(clock, DIAL_MS)]);
  let failure: string | undefined;
  const dial = async (target: string): Promise<void> => {
    try {
      await network.dial(target, either);
    } catch (error) {
      failure = messageOf(error);
      throw error;
    }
  };
  try {
    await Promise.any(targets.map(dial));
    return undefined;
  } catch {
    return failure ?? "it has no address";
  } finally {
    reached.abort();
  }
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
  try {
    await network.putRecord(headKey(run, module), bytes, signal);
  } catch (error) {
    // Another owner was faster.
    if (!(error instanceof OutdatedError)) throw error;
  }
}

/** Peers that put better heads into the DHT than the given ones, one per module. */
export async function peersWithNewerHeads(
  network: Network,
  run: CID,
  heads: KnownVersion[],
  signal: AbortSignal,
): Promise<string[]> {
  const peers = new Set<string>();
  for (const { module, cid, tokens } of heads) {
    const bytes = await network.getRecord(headKey(run, module), signal);
    if (bytes === undefined) continue;
    const { value, signer } = await HeadRecord.open(bytes);
    if (namesBetterHead(value, { cid, tokens })) peers.add(signer);
  }
  peers.delete(network.peerId);
  return [...peers];
}
