/** Begins to fetch the tensors that this peer needs, and judges the outer gradients that have come. */
import { InvalidObjectError, messageOf } from "../../errors.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import type { Charge } from "../conduct/discipline.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { Tasks } from "../tasks.ts";
import type { SwarmEvent } from "../types.ts";
import type { Gradients } from "./gradients.ts";
import type { Holdings } from "./holdings.ts";

export interface ObtainingInit {
  tasks: Tasks;
  coordinator: Coordinator;
  plan: Plan;
  gradients: Gradients;
  holdings: Holdings;
  modules: readonly string[];
  lineage(module: string): Lineage;
  /** An observer trains nothing and owns nothing. */
  observes: boolean;
  /** What this peer trained last. */
  lastSlot(): Slot | undefined;
  charge: Charge;
  /** What the next decisions depend on has changed. */
  changed(): void;
  emit(event: SwarmEvent): void;
}

export interface Obtaining {
  /**
   * Begins to fetch, of the modules that this peer owns or trains, outer gradients to be folded and the tensors of a new
   * head. Of every module, it tries again what it passed over.
   */
  look(now: number): void;
  /** Gets an outer gradient and finds out whether it may be folded, in the background. */
  gradient(contribution: KnownContribution): void;
  /** Records that a contribution can never be folded. */
  reject(contribution: KnownContribution, reason: string): void;
}

export function createObtaining(init: ObtainingInit): Obtaining {
  const { tasks, coordinator, plan, gradients, holdings, charge } = init;

  /** Modules whose tensors this peer needs: those it owns and those of the path it trains. */
  function needed(now: number): Set<string> {
    if (init.observes) return new Set();
    const slot = coordinator.ownSlot ?? init.lastSlot();
    const path = slot === undefined ? [] : plan.laneOf(slot).modules;
    return new Set([...coordinator.owned(now), ...path]);
  }

  function reject(contribution: KnownContribution, reason: string): void {
    const { module, cid } = contribution;
    init.lineage(module).refuse(cid, reason);
    init.emit({ type: "rejected", module, cid: cid.toString(), reason });
  }

  function gradient(contribution: KnownContribution): void {
    const { module, signer, cid } = contribution;
    tasks.run(`outer gradient of ${module} from ${signer}`, async () => {
      try {
        await gradients.fetch(contribution);
        coordinator.available(module, cid);
        init.changed();
      } catch (error) {
        if (!(error instanceof InvalidObjectError)) throw error;
        reject(contribution, messageOf(error));
        charge(signer, "invalid-contribution", messageOf(error), { cid });
      }
    });
  }

  /** Gets the tensors of a version, unless that is under way or failed just now. */
  function version(known: KnownVersion, now: number): void {
    const { module, generation } = known;
    if (holdings.wants(known, now))
      tasks.run(`generation ${generation} of ${module}`, async () => {
        await holdings.materialise(known);
        init.changed();
      });
  }

  return {
    look(now) {
      const modules = needed(now);
      for (const module of init.modules) {
        const lineage = init.lineage(module);
        // Also of a module that it needs no more: else it would never agree with the others again.
        for (const each of lineage.passedOver()) version(each, now);
        if (!modules.has(module)) continue;
        for (const contribution of lineage.pending()) {
          if (coordinator.isAvailable(contribution.cid)) continue;
          if (gradients.wants(contribution, now)) gradient(contribution);
        }
        version(lineage.head(), now);
      }
    },
    gradient,
    reject,
  };
}
