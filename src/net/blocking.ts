/** Peers that are not dealt with: the swarm judges, the network asks. */
import type { Connection, Libp2p } from "@libp2p/interface";
import type { Network, PeerJudge } from "./types.ts";

export type Blocking = Pick<Network, "judgeBy" | "disconnect">;

/** Before the swarm judges, all are fine. */
export const TRUSTING: PeerJudge = { penalty: () => 0, blocked: () => false };

/** Closes connections of blocked peers as they open. The judge asks whoever was set last. */
export function createBlocking(libp2p: Libp2p): Blocking & { judge: PeerJudge } {
  let current = TRUSTING;
  const close = (connection: Connection): void => connection.abort(new Error("this peer is blocked"));
  libp2p.addEventListener("connection:open", ({ detail }) => {
    if (current.blocked(detail.remotePeer.toString())) close(detail);
  });
  return {
    judge: { penalty: (peer) => current.penalty(peer), blocked: (peer) => current.blocked(peer) },
    judgeBy(judge) {
      current = judge;
    },
    disconnect(peer) {
      for (const connection of libp2p.getConnections())
        if (connection.remotePeer.toString() === peer) close(connection);
    },
  };
}
