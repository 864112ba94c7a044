/** Makes the next version of a module and tells the others. */
import type { CID } from "multiformats/cid";
import type { Clock } from "../../clock.ts";
import type { Network } from "../../net/types.ts";
import type { Lineage } from "../../outer/lineage.ts";
import { openRecord } from "../../outer/records.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import { publishHead } from "../sync/discovery.ts";
import type { Gossip } from "../sync/gossip.ts";
import type { Intake } from "../sync/intake.ts";
import { DHT_MS } from "../sync/search.ts";
import type { Tasks } from "../tasks.ts";
import type { Gradients } from "./gradients.ts";
import type { Holdings } from "./holdings.ts";

/** After a fold that failed, how long until the next try. */
const FOLD_RETRY_MS = 3_000;

export interface FoldingInit {
  clock: Clock;
  tasks: Tasks;
  network: Network;
  run: CID;
  coordinator: Coordinator;
  gradients: Gradients;
  holdings: Holdings;
  intake: Intake;
  gossip: Gossip;
  lineage(module: string): Lineage;
  /** What the next decisions depend on has changed. */
  changed(): void;
}

/** Folds contributions into a version. */
export type Fold = (
  module: string,
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
) => Promise<void>;

export function createFolding(init: FoldingInit): Fold {
  const { clock, tasks, network, run, coordinator, gradients, holdings, intake, gossip } = init;
  return async (module, parent, contributions) => {
    const ended = (): void => {
      coordinator.foldEnded(module);
      init.changed();
    };
    try {
      const { block, version } = await holdings.fold(parent, contributions, async (folded) => {
        intake.add(await openRecord(folded.block.bytes), network.peerId);
        init.lineage(module).confirm(folded.version.cid);
      });
      await gossip.announce(module, block.bytes);
      tasks.run(`DHT record of ${module}`, () => publishHead(network, run, version, tasks.within(DHT_MS)));
      ended();
    } catch (error) {
      // What cannot be read any more is fetched again before the next try.
      for (const contribution of contributions)
        if (!(await gradients.isHere(contribution))) coordinator.lost(module, contribution.cid);
      // At once it would fail for the same reason, again and again: where nobody can be asked, no time passes.
      clock.after(FOLD_RETRY_MS, ended, { waits: false });
      throw error;
    }
  };
}
