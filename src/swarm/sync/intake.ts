/** Takes in versions and contributions, from peers, this peer's own work and its disk, and charges those who bring wrong ones. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf, UnknownFormatError } from "../../errors.ts";
import { dagCborCid } from "../../objects/object.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { OpenedRecord } from "../../outer/records.ts";
import type { KnownVersion } from "../../outer/types.ts";
import type { Charge } from "../conduct/discipline.ts";
import type { Announcers } from "../conduct/provenance.ts";
import { createPublications } from "../conduct/publications.ts";
import type { LineageStore } from "../modules/lineage-store.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { SwarmEvent } from "../types.ts";
import type { SplitDetector } from "./split.ts";

export interface IntakeInit {
  self: string;
  lineages: ReadonlyMap<string, Lineage>;
  /** Gets every new record, to be on disk with the next flush. */
  records: Pick<LineageStore, "add">;
  coordinator: Coordinator;
  announcers: Announcers;
  splits: SplitDetector;
  charge: Charge;
  /** Told who sent a record in a format that is not known here. */
  notUnderstood(peer: string, reason: string): void;
  /** Asks a peer what it knows, in the background. */
  ask(peer: string): void;
  /** What the next decisions depend on has changed. */
  changed(): void;
  emit(event: SwarmEvent): void;
}

export interface Intake {
  /**
   * Takes in a block from a peer, which is charged when it is wrong; `published` says that the peer made it itself.
   * False when it was known already. Rejects with InvalidObjectError or UnknownFormatError.
   */
  receive(
    block: Uint8Array,
    from: string,
    open: () => Promise<OpenedRecord>,
    published?: boolean,
  ): Promise<boolean>;
  /** Takes in a version or contribution; false when it was known already. Throws InvalidObjectError. */
  add(opened: OpenedRecord, from: string, published?: boolean): boolean;
}

export function createIntake(init: IntakeInit): Intake {
  const { self, lineages, records, coordinator, announcers, splits, charge } = init;
  const notePublication = createPublications();

  /** A peer that publishes a version says that it folded it itself, so it answers for the outcome. */
  function checkPublication(lineage: Lineage, version: KnownVersion, from: string): void {
    const { cid, module } = version;
    const refusal = lineage.refusal(cid);
    if (refusal !== undefined) charge(from, "invalid-version", refusal, { cid });
    const other = notePublication(from, version);
    if (other !== undefined)
      charge(from, "contradiction", `It published ${other} for the same fold of ${module}.`, { cid });
  }

  /** Adds a record that is new to its lineage; returns what it waits for. */
  function addTo(lineage: Lineage, opened: OpenedRecord, from: string): CID | undefined {
    const { missing, refused } =
      opened.type === "version" ? lineage.addVersion(opened.record) : lineage.addContribution(opened.record);
    for (const { cid: orphan, reason } of refused)
      for (const peer of announcers.of(orphan).all) charge(peer, "invalid-record", reason, { cid: orphan });
    if (opened.type === "version") splits.brought(from, opened.record);
    records.add(lineage.module, { cid: opened.record.cid, bytes: opened.bytes });
    if (opened.type === "contribution") {
      const { module, signer, cid, work, round, path, replica } = opened.record;
      coordinator.contributed(opened.record);
      init.emit({
        type: "contribution",
        module,
        from: signer,
        cid: cid.toString(),
        work,
        round,
        path,
        replica,
      });
    }
    return missing;
  }

  function add(opened: OpenedRecord, from: string, published = false): boolean {
    const { cid, module } = opened.record;
    const lineage = lineages.get(module);
    if (lineage === undefined) throw new InvalidObjectError(`There is no module ${module.slice(0, 64)}.`);
    if (opened.type === "version") {
      // What comes from this peer is its own fold, which is noted there, or was heard of before a restart.
      if (from !== self) announcers.heard(cid, from, published);
      if (published) checkPublication(lineage, opened.record, from);
    }
    if (lineage.version(cid) !== undefined || lineage.contribution(cid) !== undefined) return false;
    const missing = addTo(lineage, opened, from);
    if (missing !== undefined && from !== self) init.ask(from);
    init.changed();
    return true;
  }

  return {
    add,
    async receive(block, from, open, published = false) {
      try {
        return add(await open(), from, published);
      } catch (error) {
        if (error instanceof UnknownFormatError) init.notUnderstood(from, messageOf(error));
        else if (error instanceof InvalidObjectError)
          charge(from, "invalid-record", messageOf(error), { bytes: block, cid: dagCborCid(block) });
        throw error;
      }
    },
  };
}
