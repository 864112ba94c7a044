/**
 * Looks for peers of the run that nobody told of. Gossip stays within the half of a split swarm (hivemind#624), so each
 * peer also looks outside: for providers of the run in the DHT that are no members, and for peers of earlier sessions.
 * One connection between the halves is enough: heartbeats and records flow over it, and anti-entropy brings the rest.
 */
import type { CID } from "multiformats/cid";
import { z } from "zod";
import type { LRUCache } from "lru-cache";
import { boundedMap } from "../../bounded-map.ts";
import type { Clock } from "../../clock.ts";
import { InvalidObjectError } from "../../errors.ts";
import type { Network } from "../../net/types.ts";
import { defineObject } from "../../objects/object.ts";
import type { Store } from "../../store/types.ts";
import { dialAny, discover } from "./discovery.ts";

/** Mean time between two searches of all members together; each takes its turn, however many they are. */
export const SEARCH_MS = 20_000;
/** Members whose searches fall into that time. So no few peers have to find the other half alone. */
const SEARCHERS = 4;
/** Strangers that one search dials, and peers of earlier sessions beside them. */
const STRANGERS = 4;
const ACQUAINTANCES = 2;
const MAX_REMEMBERED = 64;
/** Provider records outlive their peers by up to two days; who could not be reached is tried ever more seldom. */
const FIRST_RETRY_MS = 60_000;
const LAST_RETRY_MS = 3_600_000;
const MAX_UNREACHED = 4096;

const rememberedSchema = z.strictObject({
  peers: z
    .array(z.strictObject({ peer: z.string().max(128), addresses: z.array(z.string().max(512)).max(16) }))
    .max(MAX_REMEMBERED),
});
export type Remembered = z.infer<typeof rememberedSchema>;
/** Peers of the run that this one has reached, the latest last, as a small file. */
export const Remembered = defineObject<Remembered>("pathweave/remembered-peers", 1, rememberedSchema);
const STATE = "peers";

/**
 * How long until the next search of one of `live` members, in ms. Together they search about four times in `period`,
 * so what the DHT has to answer does not grow with the swarm; `random` is uniform in [0, 1).
 */
export function searchPause(live: number, period: number, random: number): number {
  return period * Math.max(1, live / SEARCHERS) * (0.75 + random / 2);
}

/** Addresses by peer. */
type Acquaintances = LRUCache<string, string[]>;

export interface OutsideSearch {
  /** Looks once for peers of the run that are not among `members`, and connects to some. Returns whom it reached. */
  run(members: ReadonlySet<string>, now: number, signal: AbortSignal): Promise<string[]>;
}

export interface OutsideSearchInit {
  clock: Clock;
  network: Pick<Network, "peerId" | "findProviders" | "connections" | "dial" | "addressesOf">;
  store: Pick<Store, "readState" | "writeState">;
  run: CID;
}

export function createOutsideSearch({ clock, network, store, run }: OutsideSearchInit): OutsideSearch {
  const unreached = boundedMap<string, { pause: number; next: number }>(MAX_UNREACHED);
  let remembered: Acquaintances | undefined;

  const isResting = (peer: string, now: number): boolean => (unreached.peek(peer)?.next ?? 0) > now;
  const note = (peer: string, connected: boolean, now: number): void => {
    const pause = Math.min(2 * (unreached.peek(peer)?.pause ?? FIRST_RETRY_MS / 2), LAST_RETRY_MS);
    if (connected) unreached.delete(peer);
    else unreached.set(peer, { pause, next: now + pause });
  };

  /** Keeps the addresses of members that are connected now. */
  async function remember(known: Acquaintances, members: ReadonlySet<string>): Promise<void> {
    const before = Remembered.encode(asObject(known)).bytes;
    for (const { peer } of network.connections()) {
      if (!members.has(peer)) continue;
      const addresses = await network.addressesOf(peer);
      if (addresses.length === 0) known.delete(peer);
      else known.set(peer, addresses.toSorted().slice(0, 16));
    }
    const { bytes } = Remembered.encode(asObject(known));
    if (Buffer.compare(before, bytes) !== 0) await store.writeState(STATE, bytes);
  }

  async function recall(): Promise<Acquaintances> {
    const known: Acquaintances = boundedMap(MAX_REMEMBERED);
    const bytes = await store.readState(STATE);
    try {
      const { peers } = bytes === undefined ? { peers: [] } : Remembered.decode(bytes);
      for (const { peer, addresses } of peers) known.set(peer, addresses);
    } catch (error) {
      // A damaged file costs an acquaintance, nothing else.
      if (!(error instanceof InvalidObjectError)) throw error;
    }
    return known;
  }

  return {
    async run(members, now, signal) {
      remembered ??= await recall();
      const skip = (peer: string): boolean =>
        peer === network.peerId || members.has(peer) || isResting(peer, now);
      const connected = new Set(network.connections().map(({ peer }) => peer));
      const absent = [...remembered].toReversed().filter(([peer]) => !skip(peer) && !connected.has(peer));
      const outcomes = new Map<string, boolean>();
      const tried = (peer: string, success: boolean): void =>
        void outcomes.set(peer, success || outcomes.get(peer) === true);
      // Side by side, so that what hangs does not hold up the rest.
      await Promise.all([
        discover(clock, network, run, signal, { skip, enough: STRANGERS }).then(({ dialled }) => {
          for (const dial of dialled) tried(dial.peer, dial.connected);
        }),
        ...absent.slice(-ACQUAINTANCES).map(async ([peer, addresses]) => {
          tried(peer, (await dialAny(clock, network, addresses, signal)) === undefined);
        }),
      ]);
      for (const [peer, success] of outcomes) note(peer, success, now);
      const reached = [...outcomes].filter(([, success]) => success).map(([peer]) => peer);
      await remember(remembered, members);
      return reached;
    },
  };
}

function asObject(known: Acquaintances): Remembered {
  return { peers: [...known].toReversed().map(([peer, addresses]) => ({ peer, addresses })) };
}
