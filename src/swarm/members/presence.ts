/** Whom this peer hears: it joins them when they speak first, and lets go of them when they fall silent. */
import type { Clock } from "../../clock.ts";
import type { Network } from "../../net/types.ts";
import { type Heartbeat, unknownWorks } from "../messages.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { SplitDetector } from "../sync/split.ts";
import type { SwarmEvent } from "../types.ts";

export interface PresenceInit {
  clock: Clock;
  network: Pick<Network, "peerId" | "connections">;
  coordinator: Coordinator;
  splits: SplitDetector;
  /** Speaks now. */
  beat(): void;
  /** Asks a peer what it knows, in the background. */
  ask(peer: string): void;
  notUnderstood(peer: string, reason: string): void;
  /** What the next decisions depend on has changed. */
  changed(): void;
  emit(event: SwarmEvent): void;
}

export interface Presence {
  /** Roles of the peers that are heard, in the order of joining. */
  readonly live: ReadonlyMap<string, Heartbeat["role"]>;
  hear(from: string, heartbeat: Heartbeat): void;
  /** Tells of the peers that are heard no longer. */
  noteDepartures(now: number): void;
  /** Stops counting with a peer. What it contributed stays: work is judged by itself. */
  forget(peer: string): void;
}

export function createPresence(init: PresenceInit): Presence {
  const { clock, network, coordinator, splits } = init;
  const live = new Map<string, Heartbeat["role"]>();

  function emitMember(peer: string, role: Heartbeat["role"], state: "joined" | "left", now: number): void {
    const others = coordinator.workers(now).filter((worker) => worker !== network.peerId).length;
    init.emit({ type: "member", peer, role, state, live: others });
  }

  function noteDepartures(now: number): void {
    const members = new Set(coordinator.membership.live(now).map((member) => member.peer));
    for (const [peer, role] of live)
      if (!members.has(peer)) {
        live.delete(peer);
        splits.left(peer, now);
        emitMember(peer, role, "left", now);
      }
  }

  return {
    live,
    hear(from, heartbeat) {
      const now = clock.now();
      for (const work of unknownWorks(heartbeat))
        init.notUnderstood(from, `It holds a lease on work of the kind ${work}, which is not known here.`);
      const known = live.has(from);
      if (!coordinator.heard(from, heartbeat, now)) return;
      if (!known && !heartbeat.leaving) {
        live.set(from, heartbeat.role);
        splits.joined(from, now);
        emitMember(from, heartbeat.role, "joined", now);
        // The newcomer learns of us and our leases at once, and we of its lineage; one of many need not.
        const greets = coordinator.greets(from, now);
        if (greets) init.beat();
        // Of another half, only those at the link between the two can be reached at first.
        if (greets || network.connections().some(({ peer }) => peer === from)) init.ask(from);
      }
      init.changed();
    },
    noteDepartures,
    forget(peer) {
      coordinator.forget(peer, clock.now());
      noteDepartures(clock.now());
    },
  };
}
