/**
 * The auditor: reads the data folders of peers and what was logged of them, and checks what the swarm promises
 * (docs/design.md, "Audit"). It shares nothing with the peer but the formats, so that one mistake cannot hide in
 * both.
 *
 * @example
 * const report = await auditDisks({ directories: ["peer-1", "peer-2"], events: readEventLog("events.ndjson") });
 * for (const problem of report.problems) console.error(problem);
 */
import { InvalidObjectError } from "../errors.ts";
import { genesisOf, type Manifest, ROUTER } from "../objects/manifest.ts";
import { fates, isOver, type Outcome } from "./contributions.ts";
import { readDisk, together } from "./disk.ts";
import { gatherEvidence } from "./events.ts";
import { auditModule, type ModuleAudit } from "./module.ts";
import { meetsRules, pathsByModule } from "./rules.ts";
import { summary } from "./summary.ts";
import type { AuditOptions, AuditReport, Disk, RecordedContribution } from "./types.ts";

/** Heartbeats that a peer listens to before its first claim (docs/design.md, "Leases"). */
const LISTEN_HEARTBEATS = 3;

/**
 * Audits the disks of peers of one run. Throws StorageError when a folder is none of a peer, InvalidObjectError
 * when the folders are not of one run, and UnavailableError when a genesis version is on no disk; everything
 * else that is wrong is in the report.
 */
export async function auditDisks(options: AuditOptions): Promise<AuditReport> {
  const disks: Disk[] = [];
  for (const directory of options.directories) disks.push(await readDisk(directory));
  const { run, manifest } = theRun(disks);
  const { config } = manifest;
  const leaseMs = 1000 * config.swarm.leaseSeconds;
  const listenMs = LISTEN_HEARTBEATS * 1000 * config.swarm.heartbeatSeconds;
  const evidence = await gatherEvidence(options.events, { leaseMs, listenMs });
  const paths = pathsByModule(config);
  const versions = merged(disks.map((disk) => disk.versions));
  const contributions = [...merged(disks.map((disk) => disk.contributions)).values()].filter((contribution) =>
    meetsRules(contribution, run, config, paths, genesisOf(manifest, ROUTER)),
  );
  const of = (module: string): RecordedContribution[] =>
    contributions.filter((contribution) => contribution.module === module);
  const audits: ModuleAudit[] = [];
  for (const module of paths.keys())
    audits.push(await auditModule(module, of(module), { disks, manifest, versions, evidence, options }));
  const over = audits.every(({ module, head }) => isOver(head, config, paths.get(module)!));
  const outcomes = new Map<string, Outcome>();
  for (const { module, head, tensors } of audits) {
    const init = { head, versions, blocks: together(disks), config, tensors, ...evidence, over };
    for (const [cid, outcome] of await fates(of(module), init)) outcomes.set(cid, outcome);
  }
  return summary({ run, leaseMs, disks, evidence, audits, outcomes });
}

/** The one manifest that the disks hold. */
function theRun(disks: readonly Disk[]): { run: string; manifest: Manifest } {
  const manifests = [...merged(disks.map((disk) => disk.manifests))];
  if (manifests.length !== 1)
    throw new InvalidObjectError(
      `These folders hold ${manifests.length} manifests; give folders of peers of one run.`,
    );
  const [[run, manifest]] = manifests as [[string, Manifest]];
  return { run, manifest };
}

function merged<T>(maps: readonly ReadonlyMap<string, T>[]): Map<string, T> {
  return new Map(maps.flatMap((map) => [...map]));
}
