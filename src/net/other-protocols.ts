/**
 * Peers that speak another version of our protocol. Their topics and requests have other names, so they are neither heard
 * nor charged; but they share the DHT and connect, and then libp2p's identify tells what they are.
 */
import type { IdentifyResult, Libp2p } from "@libp2p/interface";
import { PROTOCOL } from "../objects/protocol.ts";
import type { Network } from "./types.ts";

/** What a node says it is. */
export const AGENT = `pathweave/${PROTOCOL}`;

export function createOtherProtocols(libp2p: Libp2p): Pick<Network, "otherProtocols"> {
  const protocols = new Map<string, number>();
  libp2p.addEventListener("peer:identify", ({ detail }: CustomEvent<IdentifyResult>) => {
    const protocol = Number(/^pathweave\/(\d{1,6})$/.exec(detail.agentVersion ?? "")?.[1] ?? PROTOCOL);
    // A bootstrap node takes part in no run, so its version does not matter.
    const isMember = detail.protocols.some((name) => name.startsWith("/meshsub/"));
    if (isMember && protocol !== PROTOCOL) protocols.set(detail.peerId.toString(), protocol);
  });
  libp2p.addEventListener("peer:disconnect", ({ detail }) => void protocols.delete(detail.toString()));
  return { otherProtocols: () => [...protocols].map(([peer, protocol]) => ({ peer, protocol })) };
}
