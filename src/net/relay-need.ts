/** Whether a peer takes places at relays, and at which. Pure. */
import type { Multiaddr } from "@multiformats/multiaddr";
import { hostOf, isRelayed, type Scope, scopeOf } from "./scope.ts";

/** What decides whether a peer takes a relay. */
export interface RelayNeed {
  /** Whether the user asked for it: `--listen /p2p-circuit`, or a relay's address before it. */
  asked: boolean;
  /** Whether the peer listens at all; a peer that does not wants no visitors. */
  listens: boolean;
  /** Whether the user said at which addresses others reach this peer. */
  announces: boolean;
  /** Of the peer's own direct addresses. */
  own: Scope[];
  /** Of the address by which it is connected to the relay. */
  relay: Scope;
  dialledFromOutside: boolean;
}

/**
 * A reservation costs next to nothing, and others dial direct addresses first. So every peer takes a relay, except two
 * kinds: a peer that the world can surely dial, and a peer on the machine of the relay, since others that share that
 * machine need no relay.
 */
export function needsRelay({
  asked,
  listens,
  announces,
  own,
  relay,
  dialledFromOutside,
}: RelayNeed): boolean {
  if (asked) return true;
  if (!listens || announces || relay === "loopback") return false;
  return !(own.includes("public") && dialledFromOutside);
}

/** An address of this peer, as libp2p has it; of the type `transport` are those on which it listens. */
export interface OwnAddress {
  multiaddr: Multiaddr;
  type: string;
}

/** Of the direct addresses on which this peer listens. What others say that they see is no address of it. */
export function ownScopes(addresses: readonly OwnAddress[]): Scope[] {
  return addresses
    .filter(({ multiaddr, type }) => type === "transport" && !isRelayed(multiaddr))
    .map(({ multiaddr }) => scopeOf(hostOf(multiaddr)));
}

/** What `--listen` says of relays: addresses of relays to use, and whether to use any at all. */
export function relaysOf(listen: readonly string[]): { asked: boolean; addresses: string[] } {
  const relayed = listen.filter(isRelayed);
  const addresses = relayed
    .map((address) => address.replace(/\/p2p-circuit.*$/, ""))
    .filter((address) => address !== "");
  return { asked: relayed.length > 0, addresses };
}
