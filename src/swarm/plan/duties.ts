/** The owners of each module among the live workers; found anew only where a worker came or went. */
import { difference, isSame } from "../members/difference.ts";
import { ownerKey, rendezvous, type RendezvousKey } from "../members/rendezvous.ts";
import type { Workers } from "./workers.ts";

export interface Duties {
  /** The workers that it holds for, sorted. */
  of: readonly string[];
  /** By module, first duty first. */
  owners: Map<string, string[]>;
  /** By peer. */
  owned: Map<string, string[]>;
}

export class Assignment {
  readonly #workers: Workers;
  /** Owners of a module. */
  readonly #count: number;
  /** By module. */
  readonly #keys: ReadonlyMap<string, RendezvousKey>;
  #duties: Duties | undefined;
  #ownDuties: (Duties & { self: string }) | undefined;

  constructor(run: string, modules: readonly string[], count: number, workers: Workers) {
    this.#workers = workers;
    this.#count = count;
    this.#keys = new Map(modules.map((module) => [module, ownerKey(run, module)]));
  }

  /** The owners of each module among the live workers and the given one. */
  among(now: number, self?: string): Duties {
    const peers = this.#workers.all(now);
    if (this.#duties?.of !== peers) this.#duties = this.#reassign(peers);
    if (self === undefined || this.#workers.has(self, now)) return this.#duties;
    if (this.#ownDuties?.of !== peers || this.#ownDuties.self !== self) {
      const { owners } = this.#duties;
      this.#ownDuties = { ...this.#assign(peers, (module) => [self, ...owners.get(module)!]), self };
    }
    return this.#ownDuties;
  }

  #reassign(peers: readonly string[]): Duties {
    const before = this.#duties;
    if (before === undefined) return this.#assign(peers, () => peers);
    const { gone, come } = difference(before.of, peers, itself);
    const departed = new Set(gone);
    const duties = this.#assign(peers, (module) => {
      const owners = before.owners.get(module)!;
      // Without the workers that went, the order stays the same; only the place of a lost owner must be filled.
      return owners.some((owner) => departed.has(owner)) ? peers : [...owners, ...come];
    });
    // Most workers that come and go own nothing; then all keep the very lists that they had.
    const { owners, owned } = before;
    const stays = [...duties.owners].every(([module, list]) => isSame(list, owners.get(module)!));
    return stays ? { of: peers, owners, owned } : duties;
  }

  #assign(of: readonly string[], candidates: (module: string) => readonly string[]): Duties {
    const duties: Duties = { of, owners: new Map(), owned: new Map() };
    for (const [name, key] of this.#keys) {
      const owners = rendezvous(key, candidates(name), this.#count);
      duties.owners.set(name, owners);
      for (const owner of owners) duties.owned.set(owner, [...(duties.owned.get(owner) ?? []), name]);
    }
    return duties;
  }
}

function itself(peer: string): string {
  return peer;
}
