/** How much of each module's next generation is in; looked at again only where something it follows from changed. */
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import { slotKey } from "../../plan/slots.ts";
import type { Slot } from "../../plan/types.ts";
import { isSame } from "../members/difference.ts";
import type { Shortfall } from "./shortfall.ts";
import type { ModuleStock, Stock } from "./stock.ts";
import type { Surroundings } from "./types.ts";

export interface Coverage {
  /** Slots of whose contributions some are known but none is on this disk yet. */
  absent: number;
  /** Slots that the generation waits for, and those of them whose contributions are on this disk. */
  expected: number;
  present: number;
}

/** Of one module, each with what it follows from. */
interface Known {
  awaited?: { head: KnownVersion; slots: readonly Slot[] };
  coverage?: Coverage & { of: readonly unknown[] };
}

export class Coverages {
  readonly #init: Pick<Surroundings, "plan" | "view">;
  readonly #stock: Stock;
  readonly #shortfall: Shortfall;
  readonly #known = new WeakMap<ModuleStock, Known>();

  constructor(init: Pick<Surroundings, "plan" | "view">, stock: Stock, shortfall: Shortfall) {
    this.#init = init;
    this.#stock = stock;
    this.#shortfall = shortfall;
  }

  /** The slots that the module's next generation waits for. */
  awaited(stock: ModuleStock): readonly Slot[] {
    const known = this.#of(stock);
    const head = stock.lineage.head();
    if (known.awaited?.head !== head)
      known.awaited = { head, slots: this.#init.plan.expected(stock.module, head) };
    return known.awaited.slots;
  }

  /** @param foldable pending contributions that are on this disk */
  of(stock: ModuleStock, foldable: readonly KnownContribution[]): Coverage {
    const known = this.#of(stock);
    const { discount, causes } = this.#shortfall;
    const of = [foldable, discount, ...causes];
    if (known.coverage !== undefined && isSame(known.coverage.of, of)) return known.coverage;
    const { module, lineage } = stock;
    const here = new Set(foldable.map(slotKey));
    const absent = new Set(
      lineage
        .pending()
        .filter(({ cid }) => !this.#stock.has(cid) && !this.#shortfall.isLost(cid))
        .map(slotKey)
        .filter((slot) => !here.has(slot)),
    );
    const expected = this.awaited(stock);
    const present = expected.filter(
      (slot) => this.#init.view.hasContribution(module, slot, discount) && !absent.has(slotKey(slot)),
    );
    known.coverage = { of, absent: absent.size, expected: expected.length, present: present.length };
    return known.coverage;
  }

  #of(stock: ModuleStock): Known {
    const known = this.#known.get(stock) ?? {};
    this.#known.set(stock, known);
    return known;
  }
}
