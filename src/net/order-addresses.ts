/** Which addresses of this peer and of its bootstraps go into an invite. */
import { multiaddr } from "@multiformats/multiaddr";
import { peerOfAddress } from "./addresses.ts";
import { hostOf, isRelayed, isShareable, scopeOf } from "./scope.ts";

/** What is known of the ways to this peer. All addresses are multiaddrs with the peer id at their end. */
export interface KnownAddresses {
  own: readonly string[];
  /** Whether the user said that these are the addresses at which others reach this peer. */
  announced: boolean;
  /** IP addresses from which others say that they saw this peer come. */
  seen: ReadonlySet<string>;
  /** IP addresses from which this machine speaks to the world. */
  sources: ReadonlySet<string>;
  /** Name of the interface of an IP address of this machine. */
  interfaceOf(ip: string): string | undefined;
  bootstraps: readonly string[];
  /** Addresses that were dialled and are connected now. */
  connected: ReadonlySet<string>;
}

/** Interfaces that mostly lead to containers and virtual machines of this machine only. */
const BRIDGE = /^(docker|br-|br\d|virbr|veth|vmnet|vboxnet|lxcbr|lxdbr|podman|cni|flannel|cali|bridge\d)/;
/** Places that bootstraps leave to this peer's own addresses. */
const OWN_PLACES = 2;
/** Places that its other addresses leave to those through relays. */
const RELAYED_PLACES = 2;

/**
 * The best first, at most `most` of them: what the user announced, what is proven to work or can be reached from
 * everywhere, the default route's, relays, what only others say, the local network, bridges. So liars about
 * what they see move nothing ahead of what this machine knows by itself. The result always has one address of each
 * bootstrap, connected ones first; it has loopback addresses of this peer only when there is nothing else.
 */
export function orderAddresses(known: KnownAddresses, most: number): string[] {
  const relays = new Set<string>();
  const own = sorted(known.own, (address) => ownRank(address, known))
    // One address through each relay is enough; the relay itself is connected and in the invite.
    .filter(
      (address) => !isRelayed(address) || (relays.size < RELAYED_PLACES && isNew(relays, relayOf(address))),
    );
  const bootstraps = sorted(known.bootstraps, (address) => bootstrapRank(address, known));
  const peers = new Set<string>();
  const needed = bootstraps.filter((address) => isNew(peers, peerOfAddress(address) ?? address));

  const rank = (address: string): number =>
    known.own.includes(address) ? ownRank(address, known) : bootstrapRank(address, known);
  const all = sorted([...own, ...bootstraps], rank);
  const isRemote = (address: string): boolean => scopeOf(hostOf(address)) !== "loopback";
  const remote = all.some(isRemote);
  const useful = all.filter((address) => !remote || isRemote(address) || needed.includes(address));
  const best = useful.filter((address) => own.includes(address)).slice(0, OWN_PLACES);
  const chosen = new Set([...needed.slice(0, most - best.length), ...best]);
  for (const address of useful) if (chosen.size < most) chosen.add(address);
  return all.filter((address) => chosen.has(address));
}

/** Usable ones in the order of their rank; equals keep their order. */
function sorted(addresses: readonly string[], rank: (address: string) => number): string[] {
  return [...new Set(addresses)]
    .filter((address) => isShareable(multiaddr(address)))
    .toSorted((a, b) => rank(a) - rank(b));
}

function isNew(seen: Set<string>, item: string): boolean {
  return seen.size < seen.add(item).size;
}

const relayOf = (address: string): string => peerOfAddress(address.split("/p2p-circuit")[0]!) ?? address;

function ownRank(
  address: string,
  { announced, seen, sources, interfaceOf, connected }: KnownAddresses,
): number {
  const host = hostOf(address);
  const scope = scopeOf(host);
  if (isRelayed(address)) {
    if (scope === "loopback") return 10;
    return connected.has(address.split("/p2p-circuit")[0]!) ? 3 : 4;
  }
  if (scope === "loopback") return 11;
  if (announced) return 0;
  if (scope === "public" || (seen.has(host) && sources.has(host))) return 1;
  if (sources.has(host)) return 2;
  if (seen.has(host)) return 5;
  return BRIDGE.test(interfaceOf(host) ?? "") ? 9 : 8;
}

function bootstrapRank(address: string, { connected }: KnownAddresses): number {
  if (connected.has(address)) return 1;
  const peer = peerOfAddress(address);
  const elsewhere = [...connected].some((other) => peerOfAddress(other) === peer);
  if (scopeOf(hostOf(address)) === "loopback") return 10;
  // Other addresses of who is connected may lead there from elsewhere.
  return elsewhere ? 7 : 6;
}
