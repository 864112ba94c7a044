/** What a peer's session tells people or programs. */
import type { Peer } from "../src/peer/types.ts";
import type { SwarmEvent } from "../src/swarm/types.ts";
import { formatJson } from "./output.ts";
import { type RunProgress, secondsLeft } from "./run-progress.ts";
import type { SessionEvent } from "./session-events.ts";

export interface View {
  joining(): void;
  failed(): void;
  event(event: SwarmEvent): void;
  started(peer: Peer): void;
  progress(progress: RunProgress): void;
  leaving(): void;
  reach(event: SessionEvent & { type: "reach" }): void;
  stopped(event: SessionEvent & { type: "stopped" }): void;
}

/** One object a line. */
export function jsonView(): View {
  const print = (event: SessionEvent): void => void process.stdout.write(`${formatJson(event)}\n`);
  return {
    joining() {},
    failed() {},
    leaving() {},
    event: print,
    stopped: print,
    progress: ({ rounds, left }) =>
      print({ type: "progress", rounds: rounds.done, of: rounds.total, secondsLeft: secondsLeft(left) }),
    reach: print,
    started: (peer) =>
      print({
        type: "started",
        peer: peer.network.peerId,
        run: peer.run.toString(),
        addresses: peer.network.addresses(),
        invite: peer.invite(),
      }),
  };
}
