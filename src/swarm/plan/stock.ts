/** Which outer gradients are on this disk, by module: only these can be folded here. */
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Surroundings } from "./types.ts";

/** What of a module is on this disk. */
export interface ModuleStock {
  readonly module: string;
  readonly lineage: Lineage;
  /** Outer gradients that are here, also of contributions that are not pending. */
  size: number;
}

/** The pending ones that are here, of what was known and here at the time. */
interface Foldable {
  known: readonly KnownContribution[];
  revision: number;
  here: readonly KnownContribution[];
}

/** With what follows from it. */
interface Kept extends ModuleStock {
  /** Grows with every change of what is here. */
  revision: number;
  foldable?: Foldable;
}

export class Stock {
  readonly #init: Pick<Surroundings, "topology" | "view">;
  readonly #here = new Set<string>();
  #modules: readonly Kept[] = [];

  constructor(init: Pick<Surroundings, "topology" | "view">) {
    this.#init = init;
  }

  /** Of the modules of which there are any, or were, in the topology's order. */
  get modules(): readonly ModuleStock[] {
    return this.#modules;
  }

  has(contribution: CID): boolean {
    return this.#here.has(contribution.toString());
  }

  add(module: string, contribution: CID): void {
    if (this.has(contribution)) return;
    this.#here.add(contribution.toString());
    this.#change(module, 1);
  }

  remove(module: string, contribution: CID): void {
    if (this.#here.delete(contribution.toString())) this.#change(module, -1);
  }

  /** What of a module's pending contributions is here; the same array until that may have changed. */
  foldable({ module }: ModuleStock): readonly KnownContribution[] {
    const stock = this.#of(module)!;
    const known = stock.lineage.pending();
    const { revision } = stock;
    if (stock.foldable?.known !== known || stock.foldable.revision !== revision)
      stock.foldable = { known, revision, here: known.filter(({ cid }) => this.has(cid)) };
    return stock.foldable.here;
  }

  #of(module: string): Kept | undefined {
    return this.#modules.find((other) => other.module === module);
  }

  #change(module: string, by: number): void {
    const stock = this.#of(module) ?? this.#open(module);
    stock.size += by;
    stock.revision++;
  }

  #open(module: string): Kept {
    const { topology, view } = this.#init;
    const stock: Kept = { module, lineage: view.lineage(module), size: 0, revision: 0 };
    const place = (name: string): number => topology.modules.findIndex((other) => other.name === name);
    this.#modules = [...this.#modules, stock].toSorted((x, y) => place(x.module) - place(y.module));
    return stock;
  }
}
