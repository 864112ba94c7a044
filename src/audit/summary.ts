/** What an audit found, as one report. */
import type { Outcome } from "./contributions.ts";
import type { Evidence } from "./events.ts";
import { ancestry, type Fault } from "./history.ts";
import type { ModuleAudit } from "./module.ts";
import { summarise } from "./takeovers.ts";
import type { AuditReport, BadVersion, Disk, RecordedVersion } from "./types.ts";

interface SummaryInit {
  run: string;
  leaseMs: number;
  disks: readonly Disk[];
  evidence: Evidence;
  audits: readonly ModuleAudit[];
  /** What became of each contribution, by CID. */
  outcomes: ReadonlyMap<string, Outcome>;
}

export function summary({ run, leaseMs, disks, evidence, audits, outcomes }: SummaryInit): AuditReport {
  const countOf = (fate: Outcome["fate"]): number =>
    [...outcomes.values()].filter((outcome) => outcome.fate === fate).length;
  const rejections: Record<string, number> = {};
  for (const outcome of outcomes.values())
    if (outcome.fate === "rejected") rejections[outcome.reason] = (rejections[outcome.reason] ?? 0) + 1;
  const bad = badVersions(audits, disks, evidence);
  const faults = (kind: Fault): number =>
    bad.filter((each) => each.kind === kind).reduce((sum, { count }) => sum + count, 0);
  const corrupt = disks.flatMap((disk) => disk.corrupt);
  const disagreements = disagreeing(audits, disks, evidence);
  const problems = [
    ...corrupt.map((file) => `${file} is corrupt: its bytes are not what its name says.`),
    ...disks.flatMap(({ name, forged }) =>
      forged === 0 ? [] : `${name} keeps ${forged} contributions that are not signed by their authors.`,
    ),
    ...bad.map(describe),
    ...audits.flatMap(({ contradictions }) => contradictions),
    ...disagreements,
    ...misled(audits, evidence),
    ...[...outcomes].flatMap(([cid, outcome]) => [
      ...(outcome.fate === "lost" ? [`Contribution ${cid} is lost: ${outcome.reason}.`] : []),
      ...(outcome.contradicted === undefined ? [] : [`Contribution ${cid}: ${outcome.contradicted}.`]),
    ]),
  ];
  const first = bad[0];
  const takeovers = evidence.takeovers.all();
  const sum = (of: (audit: ModuleAudit) => number): number =>
    audits.reduce((total, audit) => total + of(audit), 0);
  return {
    run,
    peers: disks.map(({ name }) => name),
    modules: audits.map(({ module }) => module),
    heads: Object.fromEntries(audits.map(({ module, head }) => [module, head.version.cid.toString()])),
    peerHeads: Object.fromEntries(
      disks.map(({ name }, at) => [
        name,
        Object.fromEntries(
          audits.map(({ module, peerHeads }) => [module, peerHeads[at]!.version.cid.toString()]),
        ),
      ]),
    ),
    headsAgree: disagreements.length === 0,
    generations: sum(({ head }) => head.version.generation),
    contributions: outcomes.size,
    folded: countOf("folded"),
    rejected: countOf("rejected"),
    rejections,
    diedWithDisk: countOf("diedWithDisk"),
    waiting: countOf("waiting"),
    lost: countOf("lost"),
    foldedTwice: faults("folded twice"),
    outsideGenesis: faults("outside genesis"),
    refolded: sum(({ refolded }) => refolded),
    unverifiable: sum(({ unverifiable }) => unverifiable),
    corruptBlocks: corrupt.length,
    forged: disks.reduce((total, disk) => total + disk.forged, 0),
    ...(first === undefined ? {} : { firstBadVersion: plain(first) }),
    takeovers,
    takeoverMs: summarise(takeovers.map(({ milliseconds }) => milliseconds)),
    leaseMs,
    problems,
  };
}

type Bad = BadVersion & { kind: Fault; count: number };

function plain({ kind: _kind, count: _count, ...version }: Bad): BadVersion {
  return version;
}

function describe({ module, generation, cid, reason, announcedBy }: Bad): string {
  const who =
    announcedBy.length === 0 ? "it is not known who announced it" : `announced by ${announcedBy.join(", ")}`;
  return `${module} generation ${generation} (${cid}) does not follow: ${reason}; ${who}.`;
}

/** Versions that do not follow and that no peer logged as refused, lowest generation first. */
function badVersions(audits: readonly ModuleAudit[], disks: readonly Disk[], evidence: Evidence): Bad[] {
  const bad: Bad[] = [];
  for (const { module, history, head } of audits) {
    const report = (version: RecordedVersion, kind: Fault, reason: string, count = 1): void => {
      const cid = version.cid.toString();
      if (evidence.refusals.has(cid)) return;
      const announcers = disks.flatMap((disk) => disk.announcers.get(cid) ?? []);
      const publishers = announcers.filter(({ published }) => published);
      const guilty = publishers.length > 0 ? publishers : announcers;
      const announcedBy = [...new Set(guilty.map(({ peer }) => peer))];
      bad.push({ module, generation: version.generation, cid, reason, announcedBy, kind, count });
    };
    for (const { version, fault } of history.nodes.values())
      if (fault !== undefined) report(version, fault.kind, fault.reason, fault.count);
    for (const version of history.outside)
      report(version, "outside genesis", "it does not lead back to the genesis of the manifest");
    // What is missing may have gone with a disk; as long as it does not outrank the head nobody builds on it.
    for (const version of history.incomplete)
      if (version.tokens > head.version.tokens)
        report(version, "outside genesis", "it outranks the head, and its lineage is on none of these disks");
  }
  return bad.toSorted(
    (a, b) => a.generation - b.generation || a.module.localeCompare(b.module) || a.cid.localeCompare(b.cid),
  );
}

/** Where a disk of a peer that was live at the end has another head than all together. */
function disagreeing(audits: readonly ModuleAudit[], disks: readonly Disk[], evidence: Evidence): string[] {
  return audits.flatMap(({ module, head, peerHeads }) =>
    disks.flatMap(({ name }, at) => {
      const own = peerHeads[at]!;
      if (own === head || evidence.isDown(name)) return [];
      return `${name} has generation ${own.version.generation} of ${module} (${own.version.cid}) as head, all disks together generation ${head.version.generation} (${head.version.cid}).`;
    }),
  );
}

/** Peers whose last word on a head was a version outside of the lineage that won. */
function misled(audits: readonly ModuleAudit[], evidence: Evidence): string[] {
  return audits.flatMap(({ module, head }) => {
    const lineage = new Set(ancestry(head).map(({ version }) => version.cid.toString()));
    return [...evidence.heads].flatMap(([peer, heads]) => {
      const last = heads.get(module);
      if (last === undefined || lineage.has(last) || evidence.isDown(peer)) return [];
      return `${peer} said last that ${last} is the head of ${module}; that version is not in the winning lineage.`;
    });
  });
}
