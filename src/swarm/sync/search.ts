/** When this peer announces itself in the DHT, and when it looks there for what it does not hear of. */
import type { CID } from "multiformats/cid";
import type { Clock } from "../../clock.ts";
import type { Network } from "../../net/types.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { Random } from "../../random.ts";
import type { Store } from "../../store/types.ts";
import type { Tasks } from "../tasks.ts";
import { peersWithNewerHeads } from "./discovery.ts";
import { createOutsideSearch, SEARCH_MS, searchPause } from "./outside-search.ts";

/** Longest time for one question to the DHT. */
export const DHT_MS = 20_000;
/** Between two searches of a peer that hears nobody. */
const ALONE_MS = 5_000;

export interface SearchInit {
  clock: Clock;
  random: Random;
  tasks: Tasks;
  network: Network;
  store: Store;
  run: CID;
  modules: readonly string[];
  lineage(module: string): Lineage;
  /** Peers that are heard. */
  live: ReadonlyMap<string, unknown>;
  /** Asks a peer what it knows, in the background. */
  ask(peer: string): void;
  /** Time between two looks for a half of the run that this one does not know. @default 20 s */
  searchMs?: number;
}

export interface Search {
  /** How often `look` is to be called, in ms. */
  readonly period: number;
  /** Announces this peer until that has worked, and looks for others when it is time. */
  look(): void;
  /** Asks strangers whose heads in the DHT are better. So no half is missed for the many providers of this one. */
  askForNewer(modules: Iterable<string>): Promise<void>;
}

export function createSearch(init: SearchInit): Search {
  const { clock, random, tasks, network, run, modules, live, searchMs = SEARCH_MS } = init;
  const outside = createOutsideSearch({ clock, network, store: init.store, run });
  let provided = false;
  let nextSearch = Number.NEGATIVE_INFINITY;

  async function askForNewer(of: Iterable<string>): Promise<void> {
    const heads = [...of].map((module) => init.lineage(module).head());
    for (const peer of await peersWithNewerHeads(network, run, heads, tasks.within(DHT_MS)))
      if (!live.has(peer)) init.ask(peer);
  }

  async function lookOutside(now: number): Promise<void> {
    try {
      const module = modules[random.integer(modules.length)]!;
      await Promise.all([outside.run(new Set(live.keys()), now, tasks.stopping), askForNewer([module])]);
    } finally {
      const pause = live.size === 0 ? ALONE_MS : searchPause(live.size, searchMs, random.uniform());
      nextSearch = clock.now() + pause;
    }
  }

  return {
    period: Math.min(ALONE_MS, searchMs),
    askForNewer,
    look() {
      if (!provided)
        tasks.run("DHT announcement", async () => {
          // Fails while nobody is there to keep it.
          if (network.connections().length === 0) return;
          await network.provide(run, tasks.within(DHT_MS));
          provided = true;
        });
      const now = clock.now();
      if (now < nextSearch) return;
      nextSearch = Infinity;
      tasks.run("looking for peers", () => lookOutside(now));
    },
  };
}
