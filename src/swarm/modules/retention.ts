/** What of a module's tensors stays on this disk, and for how long. Small records stay for ever. */
import { CID } from "multiformats/cid";
import type { Clock } from "../../clock.ts";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Store } from "../../store/types.ts";
import { deltaPin } from "../rounds/round.ts";
import type { Packs } from "../types.ts";
import type { LineageStore } from "./lineage-store.ts";

/** A sweep looks at every block. */
const SWEEP_PAUSE_MS = 240_000;

export interface RetentionInit {
  clock: Clock;
  config: RunConfig;
  store: Store;
  packs: Packs;
  /** Makes the lineage on disk current, in one write with what is retained. */
  records: Pick<LineageStore, "flush">;
  /** Keep all tensors of all generations. */
  archive: boolean;
  lineage(module: string): Lineage;
  /** A version or an outer gradient is kept no longer. */
  released(cid: string): void;
}

export interface Retention {
  /** Whether this peer has kept a version: it folded it, or had it by the run's policy, perhaps before a restart. */
  keepsVersion(version: KnownVersion): Promise<boolean>;
  /** Keeps a version that is on this disk until it is old. What `first` adds to the lineage is in the same write. */
  retainVersion(version: KnownVersion, first?: () => Promise<void>): Promise<void>;
  /** Keeps an outer gradient that is on this disk, together with what says what it is, until it is settled. */
  retainGradient(contribution: KnownContribution): Promise<void>;
  /** Deletes what nobody needs, if that was not done lately. An archive keeps what it does not retain, too. */
  sweep(): Promise<void>;
}

function versionPin({ module, generation, cid }: KnownVersion): string {
  return `version:${module}:${generation}:${cid}`;
}

export function createRetention(init: RetentionInit): Retention {
  const { clock, config, store, packs, records, archive } = init;
  let swept = Number.NEGATIVE_INFINITY;

  async function sweep(): Promise<void> {
    const now = clock.now();
    if (archive || now - swept < SWEEP_PAUSE_MS) return;
    swept = now;
    await store.sweep();
  }

  /**
   * Whether no version folds a contribution any more, unless one already has for good. What this peer's head folded is
   * late work as soon as another head wins that folded other work, perhaps in fewer generations. How old its round is
   * says nothing of that.
   */
  function isSettled(lineage: Lineage, cid: string): boolean {
    const contribution = lineage.contribution(CID.parse(cid));
    const base = contribution && lineage.version(contribution.base);
    if (base === undefined) return false;
    const behind = lineage.head().generation - base.generation;
    return behind > config.outer.maxStaleness + config.swarm.retainGenerations;
  }

  /** Lets go of versions that are further behind the head than the run retains, and of outer gradients that are settled. */
  async function releaseOld(module: string): Promise<void> {
    const lineage = init.lineage(module);
    const oldest = lineage.head().generation - config.swarm.retainGenerations;
    if (oldest <= 0) return;
    let released = 0;
    for (const pin of await store.pins()) {
      const [kind, of, number, cid] = pin.split(":");
      if (of !== module || (kind !== "version" && kind !== "delta")) continue;
      if (kind === "version" ? Number(number) >= oldest : !isSettled(lineage, cid!)) continue;
      await store.release(pin);
      init.released(cid!);
      released++;
    }
    if (released === 0) return;
    // Records that gossip brought are kept by the lineage's own retention, which must be up to date first.
    await records.flush();
    await sweep();
  }

  return {
    keepsVersion: async (version) => (await store.retained(versionPin(version))).length > 0,
    async retainVersion(version, first = async () => {}) {
      const roots = Object.values(version.state);
      // An archive deletes nothing, so there the roots are enough.
      const blocks = archive ? roots : (await Promise.all(roots.map((root) => packs.blocks(root)))).flat();
      await records.flush(async () => {
        await first();
        return [[versionPin(version), blocks]];
      });
      if (!archive) await releaseOld(version.module);
    },
    async retainGradient({ module, round, cid, delta }) {
      const blocks = await packs.blocks(delta);
      await records.flush(async () => [[deltaPin(module, round, cid), blocks]]);
    },
    sweep,
  };
}
