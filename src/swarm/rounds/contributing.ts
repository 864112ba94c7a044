/** Writes what a round of this peer leaves, and tells the others of it. */
import type { Lineage } from "../../outer/lineage.ts";
import { openRecord } from "../../outer/records.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Slot } from "../../plan/types.ts";
import type { Gradients } from "../modules/gradients.ts";
import type { LineageStore } from "../modules/lineage-store.ts";
import type { Obtaining } from "../modules/obtaining.ts";
import type { Retention } from "../modules/retention.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { Gossip } from "../sync/gossip.ts";
import type { Intake } from "../sync/intake.ts";
import type { Tasks } from "../tasks.ts";
import { type FinishedRound, type RoundInit, writeRound } from "./round.ts";

export interface ContributingInit {
  self: string;
  tasks: Tasks;
  round: RoundInit;
  coordinator: Coordinator;
  records: Pick<LineageStore, "flush">;
  gradients: Gradients;
  retention: Retention;
  intake: Intake;
  gossip: Gossip;
  reject: Obtaining["reject"];
  lineage(module: string): Lineage;
}

/** Contributes a round. Rejects with InvalidObjectError when the others would refuse it. */
export type Contribute = (round: FinishedRound) => Promise<void>;

export function createContributing(init: ContributingInit): Contribute {
  const { self, tasks, coordinator, records, gradients, retention, intake, gossip } = init;

  /** Of two contributions of this peer to a slot only one can be folded; that must not be one that its disk has lost. */
  function rejectLost(module: string, slot: Slot): void {
    for (const contribution of init.lineage(module).pending())
      if (
        contribution.signer === self &&
        isSameSlot(contribution, slot) &&
        coordinator.isLost(contribution.cid) &&
        !coordinator.isAvailable(contribution.cid)
      )
        init.reject(contribution, "its outer gradient was damaged on the only disk that had it");
  }

  return async (round) => {
    const { contributions, retain } = await writeRound(init.round, round);
    // What others would refuse is not said; the slot is left to them.
    const opened = await Promise.all(contributions.map(({ bytes }) => openRecord(bytes)));
    for (const { type, record } of opened) if (type === "contribution") await gradients.examine(record);
    // On disk before anybody hears of it, so that a crash cannot take back what was announced.
    await records.flush(async () => {
      for (const record of opened) intake.add(record, self);
      return retain;
    });
    for (const [index, { cid, bytes }] of contributions.entries()) {
      const { module } = round.bases[index]!;
      coordinator.available(module, cid);
      rejectLost(module, round.slot);
      await gossip.announce(module, bytes);
    }
    // The optimizer state of the round before is as large as the network several times over.
    tasks.run("sweeping", () => retention.sweep());
  };
}
