/** What a peer waits for, found out of all that its decisions follow from. */
import type { Slot } from "../../plan/types.ts";
import type { FetchProgress } from "../../store/types.ts";
import type { OwnLease } from "./claims.ts";
import type { Discount } from "./open-slots.ts";
import { SinceHead } from "./since-head.ts";
import type { Surroundings } from "./types.ts";
import type { Expected, MissingWork, Wait } from "./waiting.ts";

/** What a peer has decided so far, and what it fetches. */
export interface Situation {
  own: Readonly<OwnLease> | undefined;
  /** Until when it hears the others out. */
  listensUntil: number;
  discount: Discount | undefined;
  fetches: readonly FetchProgress[];
  /** In order, of a module. */
  owners(module: string): readonly string[];
  ownerDelayMs: number;
  /** Since when a module's next generation could be closed here. */
  closableSince(module: string): number | undefined;
}

export class WaitFinder {
  readonly #init: Surroundings;
  /** When all contributions to a module's next generation were known to be announced. */
  readonly #announced = new SinceHead();

  constructor(init: Surroundings) {
    this.#init = init;
  }

  find(situation: Situation, now: number): Wait | undefined {
    const { own, listensUntil, discount } = situation;
    if (own !== undefined) return this.#ofOwn(own, situation);
    const { role, plan, view } = this.#init;
    if (role === "observer" && view.membership.live(now).length === 0) return { for: "peers" };
    if (role === "worker" && now < listensUntil) return { for: "claims", until: listensUntil };
    const open = view.openSlots(discount);
    for (const slot of open)
      for (const module of plan.laneOf(slot).modules)
        if (!plan.isReady(slot, module, view.lineage(module).head()))
          return this.#ofModule(module, slot.round, situation, now);
    const [next] = open.toSorted((a, b) => plan.order(a) - plan.order(b));
    if (next === undefined) return undefined;
    const missing = open
      .filter((slot) => plan.order(slot) === plan.order(next))
      .map((slot) => this.#missing(slot, now));
    return { for: "slots", round: next.round, missing };
  }

  /** Of a peer that has claimed a slot: what it lacks before the first step. */
  #ofOwn({ slot, claimed, started, progress }: OwnLease, { fetches }: Situation): Wait | undefined {
    const { config, plan, view } = this.#init;
    const { round, path } = slot;
    if (!started) return { for: "rivals", round, path, until: claimed + config.swarm.settleSeconds * 1000 };
    if (progress > 0) return undefined;
    for (const module of plan.laneOf(slot).modules) {
      const { generation, state } = view.lineage(module).head();
      const packs = Object.values(state);
      const fetch = fetches.find(({ root }) => packs.some((pack) => root?.equals(pack)));
      if (fetch !== undefined)
        return { for: "blocks", round, what: `${module} generation ${generation}`, fetch };
    }
    const fetch = fetches.find(({ root }) => root === undefined);
    return fetch && { for: "blocks", round, what: `the shard of path ${path}`, fetch };
  }

  /** Why a module's next generation is not there: its work, its outer gradients or its owner. */
  #ofModule(module: string, round: number, situation: Situation, now: number): Wait {
    const { plan, view } = this.#init;
    const { ownerDelayMs, fetches, discount } = situation;
    const lineage = view.lineage(module);
    const head = lineage.head();
    const { generation } = head;
    const missing = plan
      .expected(module, head)
      .filter((slot) => !view.hasContribution(module, slot, discount));
    if (missing.length > 0) {
      const work = missing.map((slot) => this.#missing(slot, now));
      return { for: "contributions", round, module, generation, missing: work };
    }
    const deltas = lineage.pending().map(({ delta }) => delta);
    const fetch = fetches.find(({ root }) => deltas.some((delta) => root?.equals(delta)));
    if (fetch !== undefined) return { for: "blocks", round, what: `an outer gradient of ${module}`, fetch };
    // A peer without the outer gradients cannot tell when the generation could be closed, but when all were announced.
    const since = situation.closableSince(module) ?? this.#announced.note(module, head.cid, now);
    const owners = situation.owners(module);
    const duty = Math.min(Math.floor((now - since) / ownerDelayMs), owners.length - 1);
    const peer = owners[duty];
    const member = peer === undefined ? undefined : view.membership.member(peer);
    // The next in line takes over after a while; the last one's duty passes on when it counts as gone.
    const takeover =
      duty < owners.length - 1 || member === undefined
        ? since + (duty + 1) * ownerDelayMs
        : member.lastSeen + member.timeout;
    const owner = peer === undefined ? undefined : this.#expected(peer);
    return { for: "owner", round, module, generation, owner, takeover };
  }

  #missing(slot: Slot, now: number): MissingWork {
    const [lease] = this.#init.view.leases.on(slot, now);
    if (lease === undefined) return { path: slot.path };
    const { holder, progress, expires } = lease;
    return { path: slot.path, holder: { ...this.#expected(holder), progress, expires } };
  }

  #expected(peer: string): Expected {
    const { self, view } = this.#init;
    const lastSeen = peer === self ? undefined : (view.membership.member(peer)?.lastSeen ?? null);
    return { peer, lastSeen };
  }
}
