/** Judges a world: what each process finds on its disk at its start, and what the auditor finds on all disks at the end. */
import { auditDisks } from "../../audit/audit.ts";
import type { AuditReport, Folder } from "../../audit/types.ts";
import type { Random } from "../../random.ts";
import { BLOCKS } from "../../store/layout.ts";
import { CHECKS } from "./checks/all.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Machine } from "./machine.ts";
import { pinsOn, recordsOn } from "./records.ts";
import type { WorldRun } from "./run.ts";
import type { Timeline } from "./timeline.ts";
import type { Ended } from "./types.ts";

export interface RefereeInit {
  random: Random;
  timeline: Timeline;
  chronicle: Chronicle;
  run: WorldRun;
  /** Files of which a bit was flipped, with the names of their machines before them. */
  rotted: ReadonlySet<string>;
  /** CIDs of false versions that somebody announced on purpose. */
  lies: ReadonlySet<string>;
}

export class Referee {
  readonly #init: RefereeInit;

  constructor(init: RefereeInit) {
    this.#init = init;
  }

  /** Judges a process that has just read its disk, or has come to the end of the world. */
  async restored(machine: Machine): Promise<void> {
    const { timeline, random, chronicle, rotted } = this.#init;
    const { swarm, name, peer } = machine;
    if (swarm === undefined) return;
    // As it is now: what the peer announces while its disk is read is not among what is found there.
    const announced = new Set(machine.announced);
    const copy = machine.disk.clone({ clock: timeline, random });
    const records = await recordsOn(copy);
    const found = await pinsOn(copy, timeline);
    const isSound = (path: string): boolean => !rotted.has(`${name}/${path}`);
    const harmed = found.harmed.filter(isSound);
    // Pins are entries of the database, and one of which a bit was flipped names another block.
    const areSound = ![...rotted].some((file) => file.startsWith(`${name}//`));
    const missing = found.missing.filter(({ path }) => areSound && isSound(path));
    const { maxStaleness } = this.#init.run.manifest.config.outer;
    const { pins } = found;
    const restored = { name, peer, swarm, maxStaleness, announced, records, pins, harmed, missing };
    for (const check of CHECKS)
      for (const problem of check.restored?.(restored) ?? []) chronicle.break(check.name, problem);
  }

  /** Judges the disks of the core after its end, and those of all for what a loss of power tore. */
  async ended(
    { machines, core }: { machines: readonly Machine[]; core: readonly Machine[] },
    { finished, unfinished }: Pick<Ended, "finished" | "unfinished">,
  ): Promise<AuditReport> {
    const { chronicle } = this.#init;
    const report = await this.#audit(core);
    const torn = machines.flatMap(({ name, disk }) => [...disk.torn].map((path) => `${name}/${path}`));
    const rotted = new Set([...this.#init.rotted, ...torn]);
    const end: Ended = { report, finished, unfinished, rotted, lies: this.#init.lies };
    for (const check of CHECKS)
      for (const problem of check.ended?.(end) ?? []) chronicle.break(check.name, problem);
    return report;
  }

  #audit(core: readonly Machine[]): Promise<AuditReport> {
    const { timeline, random, chronicle } = this.#init;
    const directories = core.map(({ name, disk }): Folder => {
      const { files } = disk.clone({ clock: timeline, random });
      return {
        name,
        async blocks() {
          const paths: string[] = [];
          for await (const path of files.list(BLOCKS)) paths.push(path);
          return paths;
        },
        read: (path) => files.read(path),
      };
    });
    const events = (async function* () {
      yield* chronicle.log;
    })();
    return auditDisks({ directories, events });
  }
}
