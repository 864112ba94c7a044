/** Since when something is so of the generation that a module makes next. */
import type { CID } from "multiformats/cid";

interface Since {
  head: CID;
  since: number;
}

/** Times of modules, each as long as its head is the same. */
export class SinceHead {
  readonly #times = new Map<string, Since>();

  /** Since when it is so, of the module's generation after `head`; now if it was not yet. */
  note(module: string, head: CID, now: number): number {
    const known = this.#times.get(module);
    if (known !== undefined && known.head.equals(head)) return known.since;
    this.#times.set(module, { head, since: now });
    return now;
  }

  get(module: string): number | undefined {
    return this.#times.get(module)?.since;
  }

  forget(module: string): void {
    this.#times.delete(module);
  }
}
