/** The search of a joiner for its run. */
import type { CID } from "multiformats/cid";
import { type Clock, delay, timeout } from "../clock.ts";
import { messageOf, NetworkError } from "../errors.ts";
import { joinFailure, type JoinAttempt } from "./join-failure.ts";
import type { SwarmNetwork } from "../net/network.ts";
import type { Network } from "../net/types.ts";
import { Manifest } from "../objects/manifest.ts";
import type { Store } from "../store/types.ts";
import { discover } from "../swarm/sync/discovery.ts";

/** How long a joiner looks for the manifest before it says what it tried. */
const FIND_RUN_MS = 30_000;
const NO_CONNECTION_MS = 10_000;

/** A network, and what became of its dials. */
export type RunNetwork = Network & Pick<SwarmNetwork, "dialReport">;

/**
 * The manifest block: from disk, or from any peer that provides the run. Adds those peers to `providers`, unless the
 * genesis versions are on the disk with it, so that nobody else is needed to begin. Throws NetworkError that says which addresses were tried, with what result, and what to do next.
 */
export async function findManifest(
  run: CID,
  { clock, network, store }: { clock: Clock; network: RunNetwork; store: Store },
  isPrivate: boolean,
  providers: Set<string>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const local = await store.local(run);
  if (local !== undefined && (await hasGenesis(store, local))) return local;
  const deadline = AbortSignal.any([timeout(clock, FIND_RUN_MS), ...(signal === undefined ? [] : [signal])]);
  const began = clock.now();
  const known = new Set<string>();
  let last: string | undefined;
  while (!deadline.aborted) {
    try {
      await connected(network, AbortSignal.any([deadline, timeout(clock, NO_CONNECTION_MS)]));
      const found = await discover(clock, network, run, deadline, { untilConnected: true });
      for (const peer of found.providers) known.add(peer);
      for (const peer of known) providers.add(peer);
      last = found.failure ?? last;
    } catch (error) {
      last = messageOf(error);
    }
    for (const { peer } of network.connections()) providers.add(peer);
    try {
      if (providers.size > 0)
        return await store.get(run, {
          holders: [...providers],
          signal: AbortSignal.any([deadline, timeout(clock, 15_000)]),
        });
    } catch (error) {
      last = messageOf(error);
    }
    // Bootstraps that all refuse will not change their mind soon; say so while the user still looks.
    if (network.connections().length === 0 && clock.now() - began > NO_CONNECTION_MS) break;
    // A look that fails is followed by another soon, unless time is up.
    await delay(clock, 1000, deadline).catch(() => {});
  }
  signal?.throwIfAborted();
  const attempt: JoinAttempt = {
    run,
    self: network.peerId,
    connected: network.connections().length,
    providers: known.size,
    failures: network.dialReport(),
    last,
    isPrivate,
  };
  throw new NetworkError(joinFailure(attempt));
}

/** Whether the genesis versions are on this disk, too. A peer that ended before it had them needs others as a new one does. */
async function hasGenesis(store: Store, manifest: Uint8Array): Promise<boolean> {
  for (const { version } of Manifest.decode(manifest).genesis) if (!(await store.has(version))) return false;
  return true;
}

/** Resolves when there is a connection; rejects when all bootstraps failed or the deadline is over. */
function connected(network: Network, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = network.onPeer((_peer, event) => {
      if (event === "connect") finish(resolve);
    });
    const onAbort = (): void => finish(() => reject(new NetworkError("no bootstrap answered in time")));
    const finish = (settle: () => void): void => {
      stop();
      deadline.removeEventListener("abort", onAbort);
      settle();
    };
    deadline.addEventListener("abort", onAbort);
    if (network.connections().length > 0) finish(resolve);
    else if (deadline.aborted) onAbort();
  });
}
