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

/** The relays that addresses lead through, one address of each without its peer id, the widest known first. */
export function relaysIn(addresses: readonly string[]): string[] {
  const best = new Map<string, string>();
  const width = (address: string): number =>
    ["public", "name", "private"].indexOf(scopeOf(hostOf(address))) + 1 || 9;
  for (const address of addresses.filter(isRelayed)) {
    const [, at, relay] = /^(.*)\/p2p\/([^/]+)\/p2p-circuit/.exec(address) ?? [];
    if (at === undefined || relay === undefined) continue;
    const known = best.get(relay);
    if (known === undefined || width(at) < width(known)) best.set(relay, at);
  }
  return [...best.values()];
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
