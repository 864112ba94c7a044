/** The outer gradients of others: gets them, and looks whether they may be folded. */
import type { Clock } from "../../clock.ts";
import type { KnownContribution } from "../../outer/types.ts";
import type { Tasks } from "../tasks.ts";
import type { Packs } from "../types.ts";
import type { Holders } from "./holders.ts";
import type { HoldoutCheck } from "./holdout-check.ts";
import type { ModuleStates } from "./module-states.ts";
import type { Retention } from "./retention.ts";

/** Longest time to get the tensors of one version or contribution. */
export const FETCH_MS = 120_000;
/** After a failed try, how long until the next. */
export const BACKOFF_MS = 3_000;

export interface GradientsInit {
  clock: Clock;
  tasks: Pick<Tasks, "within">;
  packs: Packs;
  states: ModuleStates;
  holders: Holders;
  retention: Retention;
  /** Tries a contribution on held-out text; absent when the run does not. */
  check: HoldoutCheck | undefined;
}

export interface Gradients {
  /** Whether a fetch should begin: none is under way, and the last failure is not too recent. */
  wants(contribution: KnownContribution, now: number): boolean;
  /** Gets, examines and retains one. Rejects as `examine` does. */
  fetch(contribution: KnownContribution): Promise<void>;
  /**
   * Gets one and looks whether it may be folded. Rejects with InvalidObjectError when it never may, and with
   * UnavailableError when what that takes cannot be had.
   */
  examine(contribution: KnownContribution): Promise<void>;
  /** Whether one is on this disk. */
  isHere(contribution: KnownContribution): Promise<boolean>;
}

export function createGradients(init: GradientsInit): Gradients {
  const { clock, tasks, packs, states, holders, retention, check } = init;
  /** Fetches that are under way, by CID. */
  const fetching = new Set<string>();
  /** When to try again what failed, by CID. */
  const retry = new Map<string, number>();

  async function examine(contribution: KnownContribution): Promise<void> {
    const signal = tasks.within(FETCH_MS);
    const delta = await states.delta(contribution, holders.ofGradient(contribution), signal);
    await check?.(contribution, delta, signal);
  }

  return {
    examine,
    wants({ cid }, now) {
      const key = cid.toString();
      return !fetching.has(key) && (retry.get(key) ?? 0) <= now;
    },
    async fetch(contribution) {
      const key = contribution.cid.toString();
      fetching.add(key);
      try {
        await examine(contribution);
        await retention.retainGradient(contribution);
      } catch (error) {
        retry.set(key, clock.now() + BACKOFF_MS);
        throw error;
      } finally {
        fetching.delete(key);
      }
    },
    isHere: ({ delta }) => packs.complete(delta),
  };
}
