/** Which generations this peer should close now, by folding what it has into the next version of a module. */
import { ownersOf } from "../members/rendezvous.ts";
import { type Coverage, Coverages } from "./coverage.ts";
import type { Shortfall } from "./shortfall.ts";
import { SinceHead } from "./since-head.ts";
import type { ModuleStock, Stock } from "./stock.ts";
import type { Decision, Surroundings } from "./types.ts";

/** What one version can list; more are folded in the next. */
const MAX_CONTRIBUTIONS = 8192;
/** Peers after the owners that do their duty, one after another, when none of them does. */
const STAND_INS = 4;

export class Closing {
  readonly #init: Surroundings;
  readonly #run: string;
  readonly #stock: Stock;
  readonly #shortfall: Shortfall;
  readonly #coverages: Coverages;
  /** When the first contribution to a module's next generation was seen. */
  readonly #firstPending = new SinceHead();
  /** When it could be closed. */
  readonly #closable = new SinceHead();
  readonly #folding = new Set<string>();

  constructor(init: Surroundings, stock: Stock, shortfall: Shortfall) {
    this.#init = init;
    this.#run = init.run.toString();
    this.#stock = stock;
    this.#shortfall = shortfall;
    this.#coverages = new Coverages(init, stock, shortfall);
  }

  /** How long the next owner waits before it does the duty of the one before. */
  get ownerDelayMs(): number {
    const { heartbeatSeconds, leaseSeconds } = this.#init.config.swarm;
    return Math.max(2 * heartbeatSeconds, leaseSeconds / 4) * 1000;
  }

  /** Since when a module's next generation could be closed here. */
  closableSince(module: string): number | undefined {
    return this.#closable.get(module);
  }

  /** The fold that was decided has ended, in success or failure; the module may be decided on again. */
  ended(module: string): void {
    this.#folding.delete(module);
    this.#closable.forget(module);
  }

  /** @param owned modules whose next version is this peer's duty */
  *decide(owned: readonly string[], workers: () => readonly string[], now: number): Generator<Decision> {
    if (this.#init.role !== "worker") return;
    // Who has no outer gradient of a module has nothing to fold there.
    for (const stock of this.#stock.modules) {
      const { module, lineage } = stock;
      // A stand-in acts when it has enough for the quorum; most have no more than their own.
      const least = owned.includes(module) ? 1 : this.#quorum(stock);
      if (stock.size < least || this.#folding.has(module)) continue;
      const foldable = this.#stock.foldable(stock);
      if (foldable.length < least) continue;
      const head = lineage.head();
      const first = this.#firstPending.note(module, head.cid, now);
      if (!this.#isClosable(module, this.#coverages.of(stock, foldable), first, now)) continue;
      const closable = this.#closable.note(module, head.cid, now);
      if (now - closable < this.#turn(module, workers()) * this.ownerDelayMs) continue;
      this.#folding.add(module);
      yield { type: "fold", module, parent: head, contributions: foldable.slice(0, MAX_CONTRIBUTIONS) };
    }
  }

  /** Contributions with which a module's generation may close after the grace time; 1 when none is expected. */
  #quorum(stock: ModuleStock): number {
    return Math.max(1, Math.ceil(this.#init.config.outer.quorum * this.#coverages.awaited(stock).length));
  }

  /**
   * How many others come before this peer in folding a module. The owners could all be strangers that never do it,
   * so any worker that has the outer gradients stands in for them; folds of one set are one version, whoever makes it.
   */
  #turn(module: string, workers: readonly string[]): number {
    const last = this.#init.config.swarm.owners + STAND_INS;
    const order = ownersOf(this.#run, module, workers, last).indexOf(this.#init.self);
    return order < 0 ? last : order;
  }

  /**
   * A generation closes when all expected contributions are in, or when the quorum is in and the grace time over.
   * Once nothing is expected, generations carry only late contributions, and close when no more can come.
   */
  #isClosable(module: string, coverage: Coverage, firstPending: number, now: number): boolean {
    const { config, plan, view } = this.#init;
    const { absent, expected, present } = coverage;
    const graceOver = now - firstPending >= config.swarm.graceSeconds * 1000;
    if (expected === 0) {
      const open = view.openSlots(this.#shortfall.discount);
      const more = open.some((slot) => plan.laneOf(slot).modules.includes(module));
      return (!more && absent === 0) || graceOver;
    }
    if (present === expected) return true;
    return graceOver && present >= Math.ceil(config.outer.quorum * expected);
  }
}
