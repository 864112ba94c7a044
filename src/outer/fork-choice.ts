/** Which of a tree's versions is the head: most folded tokens, then lower CID, leaving out what is barred or passed over. */
import { type Branch, descends } from "./branch.ts";
import { compareHeads } from "./order.ts";

export class ForkChoice {
  readonly #genesis: Branch;
  /** Versions that were refused, are false by a confirmed sibling, or descend from one of these. */
  readonly #barred = new Set<Branch>();
  readonly #confirmed = new Set<Branch>();
  /** Versions whose tensors cannot be had for now. */
  readonly #passedOver = new Set<Branch>();
  #head: Branch;

  constructor(genesis: Branch) {
    this.#genesis = genesis;
    this.#head = genesis;
    this.#confirmed.add(genesis);
  }

  get head(): Branch {
    return this.#head;
  }

  /** Considers a version that has just grown on the tree. */
  add(branch: Branch, refused: boolean): void {
    const siblings = branch.parent?.children ?? [];
    const isFalse = siblings.some((sibling) => this.#confirmed.has(sibling) && isRival(sibling, branch));
    if (refused || isFalse || (branch.parent !== undefined && this.#barred.has(branch.parent)))
      this.#barred.add(branch);
    else if (isBetter(branch, this.#head) && !this.#isHidden(branch)) this.#head = branch;
  }

  /** Bars versions and all that descend from them. */
  bar(...roots: Branch[]): void {
    const branches = [...roots];
    for (let next = branches.pop(); next !== undefined; next = branches.pop()) {
      if (this.#barred.has(next)) continue;
      this.#barred.add(next);
      branches.push(...next.children);
    }
    if (this.#barred.has(this.#head)) this.#head = this.#best();
  }

  /** Bars the siblings that claim another outcome of the same fold, now and when they are added. */
  confirm(branch: Branch): void {
    this.#confirmed.add(branch);
    this.bar(...(branch.parent?.children.filter((sibling) => isRival(sibling, branch)) ?? []));
  }

  isConfirmed(branch: Branch): boolean {
    return this.#confirmed.has(branch);
  }

  /** Leaves a version and all that descend from it out, until `reconsider`. */
  passOver(branch: Branch): void {
    this.#passedOver.add(branch);
    this.#head = this.#best();
  }

  /** Takes back a version, and what it descends from: whoever has the later one needs none of the earlier. */
  reconsider(branch: Branch): void {
    const roots = [...this.#passedOver].filter((root) => descends(branch, root));
    for (const root of roots) this.#passedOver.delete(root);
    if (roots.length > 0) this.#head = this.#best();
  }

  /** Versions that are passed over and not barred, and the best that builds on each. */
  passedOver(): Branch[] {
    const roots = [...this.#passedOver].filter((branch) => !this.#barred.has(branch));
    return [...new Set(roots.flatMap((root) => [root, this.#best(root)]))];
  }

  #isHidden(branch: Branch): boolean {
    return [...this.#passedOver].some((root) => descends(branch, root));
  }

  /** The best version at or above `from`, which itself counts even when it is passed over. */
  #best(from = this.#genesis): Branch {
    let best = from;
    const branches = [from];
    for (let next = branches.pop(); next !== undefined; next = branches.pop()) {
      if (this.#barred.has(next) || (next !== from && this.#passedOver.has(next))) continue;
      if (isBetter(next, best)) best = next;
      branches.push(...next.children);
    }
    return best;
  }
}

function isBetter(a: Branch, b: Branch): boolean {
  return compareHeads(a.version, b.version) < 0;
}

/** Whether two different children of one parent fold the same contributions: a fold has one outcome. */
function isRival(a: Branch, b: Branch): boolean {
  const [left, right] = [a.version.contributions, b.version.contributions];
  return a !== b && left.length === right.length && left.every((cid, index) => cid.equals(right[index]));
}
