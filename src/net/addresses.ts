/** Addresses that people type. */
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { messageOf, UsageError } from "../errors.ts";
import { hostOf, scopeOf } from "./scope.ts";

const EXAMPLES = {
  listen: "/ip4/0.0.0.0/tcp/4001",
  announce: "/ip4/203.0.113.7/tcp/4001 or /dns4/example.org/tcp/4001",
  dial: "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…",
};
export type AddressUse = keyof typeof EXAMPLES;

/**
 * Parses addresses from a command line or a file. `use` chooses the example in the error.
 * Throws UsageError naming the first bad one.
 */
export function parseAddresses(addresses: string[], use: AddressUse): Multiaddr[] {
  return addresses.map((address) => {
    const fail = (reason: string): never => {
      throw new UsageError(
        `"${address}" is not an address to ${use === "listen" ? "listen on" : use} (${reason}); write one like ${EXAMPLES[use]}.`,
      );
    };
    let parsed: Multiaddr;
    try {
      parsed = multiaddr(address);
    } catch (error) {
      return fail(messageOf(error));
    }
    const reason = whyUnusable(parsed, use);
    return reason === undefined ? parsed : fail(reason);
  });
}

/** Checks what a peer was told of addresses. Throws UsageError. */
export function checkAddresses(given: { listen: string[]; announce: string[]; bootstrap: string[] }): void {
  parseAddresses(given.listen, "listen");
  parseAddresses(given.announce, "announce");
  parseAddresses(given.bootstrap, "dial");
}

function whyUnusable(address: Multiaddr, use: AddressUse): string | undefined {
  const parts = address.getComponents();
  const names = new Set(parts.map(({ name }) => name));
  const has = (name: string): boolean => names.has(name);
  if (has("p2p-circuit")) {
    if (use === "dial" && parts.at(-1)?.name !== "p2p") return "it lacks the peer id at its end";
    // Which relay is free to choose where one listens only.
    return use === "listen" || has("tcp") || has("p2p") ? undefined : "it names no relay";
  }
  if (!has("tcp")) return "it names no TCP port";
  const host = hostOf(address);
  if (host === "") return "it names neither an IP address nor a host";
  if (use === "listen") return has("p2p") ? "an address to listen on has no peer id" : undefined;
  if (parts.some(({ name, value }) => name === "tcp" && value === "0")) return "nobody can dial port 0";
  const scope = scopeOf(host);
  if (scope === "unspecified") return `${host} stands for all addresses of a machine, and nobody can dial it`;
  if (scope === "link-local" && (use === "announce" || !has("ip6zone")))
    return "a link-local address can only be dialled with a zone, which differs on every machine";
  if (use === "dial" && !has("p2p")) return "it lacks the peer id at its end";
  return undefined;
}

/** The peer id at the end of an address, if it names one. */
export function peerOfAddress(address: string): string | undefined {
  return multiaddr(address)
    .getComponents()
    .findLast(({ name }) => name === "p2p")?.value;
}
