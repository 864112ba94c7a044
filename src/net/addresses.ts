/** Addresses that people type. */
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { messageOf, UsageError } from "../errors.ts";

const EXAMPLES = {
  listen: "/ip4/0.0.0.0/tcp/4001",
  announce: "/ip4/203.0.113.7/tcp/4001 or /dns4/example.org/tcp/4001",
  dial: "/ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…",
};

/**
 * Parses addresses from a command line or a file. `use` chooses the example in the error.
 * Throws UsageError naming the first bad one.
 */
export function parseAddresses(addresses: string[], use: keyof typeof EXAMPLES): Multiaddr[] {
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
    const parts = parsed.getComponents();
    const names = new Set(parts.map(({ name }) => name));
    const relayed = names.has("p2p-circuit");
    if (!relayed && !names.has("tcp")) return fail("it names no TCP port");
    if (use === "dial" && !names.has("p2p")) return fail("it lacks the peer id at its end");
    if (use === "dial" && parts.some(({ name, value }) => name === "tcp" && value === "0"))
      return fail("nobody can dial port 0");
    return parsed;
  });
}

/** The peer id at the end of an address, if it names one. */
export function peerOfAddress(address: string): string | undefined {
  return multiaddr(address)
    .getComponents()
    .findLast(({ name }) => name === "p2p")?.value;
}
