/** From where an address can be reached, and in which order addresses of one peer are worth a dial. */
import { BlockList, isIP } from "node:net";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { Machine } from "./machine.ts";

/** A `name` is a DNS name. */
export type Scope = "public" | "private" | "loopback" | "link-local" | "unspecified" | "name";

const IPV4 = [
  ["unspecified", "0.0.0.0", 32],
  ["loopback", "127.0.0.0", 8],
  ["private", "10.0.0.0", 8],
  ["private", "172.16.0.0", 12],
  ["private", "192.168.0.0", 16],
  // Shared by the customers of a provider, and what overlay networks hand out.
  ["private", "100.64.0.0", 10],
  ["private", "169.254.0.0", 16],
] as const;
const IPV6 = [
  ["unspecified", "::", 128],
  ["loopback", "::1", 128],
  ["private", "fc00::", 7],
  ["link-local", "fe80::", 10],
] as const;

const RANGES = new Map<Scope, BlockList>();
for (const [type, ranges] of [
  ["ipv4", IPV4],
  ["ipv6", IPV6],
] as const)
  for (const [scope, network, prefix] of ranges) {
    const list = RANGES.get(scope) ?? new BlockList();
    list.addSubnet(network, prefix, type);
    RANGES.set(scope, list);
  }

const family = (ip: string): "ipv4" | "ipv6" => (isIP(ip) === 6 ? "ipv6" : "ipv4");

/** The IP address or name that an address starts with: that of the relay, if it leads through one. */
export function hostOf(address: Multiaddr | string): string {
  const host = multiaddr(address)
    .getComponents()
    .find(({ name }) => name === "ip4" || name === "ip6" || name.startsWith("dns"));
  return host?.value ?? "";
}

export function scopeOf(host: string): Scope {
  if (isIP(host) === 0) return "name";
  for (const [scope, list] of RANGES) if (list.check(host, family(host))) return scope;
  return "public";
}

export function isRelayed(address: Multiaddr | string): boolean {
  return address.toString().includes("/p2p-circuit");
}

/** How far an address leads, the farthest first. */
const WIDTHS: Scope[] = ["public", "name", "private", "loopback", "link-local", "unspecified"];
const widthOf = (address: string): number => WIDTHS.indexOf(scopeOf(hostOf(address)));
/** That a peer has a place at, so that one may restart without the peer being lost meanwhile. */
export const MOST_RELAYS = 2;
/** Of addresses through one relay; a hostile one may name thousands. */
const MOST_THROUGH_RELAY = 4;
/** The id of the relay in an address; whoever wrote the address chose it. */
const relayIn = (address: string): string => /^.*\/p2p\/([^/]+)\/p2p-circuit/.exec(address)?.[1] ?? "";

/** Of the addresses that a relay says it can be reached at, those that lead through it, and no other relay. */
export function placesAt(relay: string, addresses: Multiaddr[]): Multiaddr[] {
  return addresses.filter((address) => relayIn(address.toString()) === relay);
}

/** Interfaces that lead to containers and virtual machines of this machine, and never to other machines. */
const INSIDE = /^(docker\d|br-[0-9a-f]{12}$|virbr|veth|vmnet|vboxnet|lxcbr|lxdbr|podman|cni|flannel|cali)/;

/**
 * The addresses that a peer tells others. It tells none that only this machine understands or that leads to the
 * machine's containers, unless there is no other. Through each relay it tells only the few that lead farthest, and it
 * names no more relays than it has places at: a peer that is connected to the relay needs no other address. Each
 * address that leads nowhere costs every dialling peer seconds.
 */
export function sharedAddresses(
  addresses: Multiaddr[],
  { interfaceOf }: Pick<Machine, "interfaceOf">,
): Multiaddr[] {
  const isInside = (text: string): boolean => INSIDE.test(interfaceOf(hostOf(text)) ?? "");
  const isOutside = (text: string): boolean =>
    !isRelayed(text) && scopeOf(hostOf(text)) !== "loopback" && !isInside(text);
  const hasOutside = addresses.some((address) => isOutside(address.toString()));
  const farthest = new Map<string, number>();
  for (const text of addresses.map(String).filter(isRelayed)) {
    const relay = relayIn(text);
    farthest.set(relay, Math.min(widthOf(text), farthest.get(relay) ?? WIDTHS.length));
  }
  const told = new Map<string, number>();
  return addresses.filter((address) => {
    const text = address.toString();
    if (!isShareable(address)) return false;
    if (!isRelayed(text)) return !hasOutside || !isInside(text);
    const relay = relayIn(text);
    if (widthOf(text) !== farthest.get(relay)) return false;
    if (!told.has(relay) && told.size === MOST_RELAYS) return false;
    told.set(relay, (told.get(relay) ?? 0) + 1);
    return told.get(relay)! <= MOST_THROUGH_RELAY;
  });
}

/**
 * The relays that addresses of one peer lead through, no more than a peer has places at: of each the address that leads
 * farthest, without its peer id.
 */
export function relaysIn(addresses: readonly string[]): string[] {
  const relays = Map.groupBy(addresses.filter(isRelayed), relayIn);
  return [...relays.values()].slice(0, MOST_RELAYS).map((ways) => {
    const [best] = ways.toSorted((a, b) => widthOf(a) - widthOf(b));
    return best!.replace(/\/p2p\/[^/]+\/p2p-circuit.*$/, "");
  });
}

/**
 * Whether others can do anything with an address of this machine: port 0 and addresses that mean "all of mine" are
 * only to listen on, and a link-local IPv6 address cannot be dialled without a zone, which differs on every machine.
 */
export function isShareable(address: Multiaddr): boolean {
  if (address.getComponents().some(({ name, value }) => name === "tcp" && value === "0")) return false;
  // Of `/p2p/…/p2p-circuit` alone only the peer is known; who knows the relay can use it.
  const host = hostOf(address);
  const scope = scopeOf(host);
  return scope !== "link-local" && scope !== "unspecified";
}

/**
 * Lower is dialled first. Peers of this machine and its networks are dialled directly; a relay comes before private
 * addresses of other networks, most of which are other people's and time out one by one.
 */
export function dialRank(address: Multiaddr, machine: Pick<Machine, "sharesNetwork">): number {
  const host = hostOf(address);
  const scope = scopeOf(host);
  if (isRelayed(address)) return scope === "loopback" ? 5 : 3;
  if (scope === "public" || scope === "name") return 0;
  if (scope === "loopback") return 2;
  return machine.sharesNetwork(host) ? 1 : 4;
}
