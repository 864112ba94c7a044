/**
 * The auditor: reads the data folders of peers and what was logged of them, and checks what the swarm promises
 * (docs/design.md, "Audit"). It shares nothing with the peer but the formats, so that one mistake cannot hide in
 * both.
 *
 * @example
 * const report = await auditDisks({ directories: ["peer-1", "peer-2"], events: readEventLog("events.ndjson") });
 * for (const problem of report.problems) console.error(problem);
 */
import { InvalidObjectError, UnavailableError } from "../errors.ts";
import { genesisOf, type Manifest, ROUTER } from "../objects/manifest.ts";
import { TensorPack } from "../objects/tensor-pack.ts";
import { fates, isOver, type Outcome } from "./contributions.ts";
import { readDisk, together } from "./disk.ts";
import { type Evidence, gatherEvidence } from "./events.ts";
import { ancestry, type Fault, headOf, type History, type Node, readHistory, unsettle } from "./history.ts";
import { optimizerOf } from "./optimizers.ts";
import { refold } from "./refold.ts";
import { contradictedVersion } from "./rejections.ts";
import { meetsRules, pathsByModule } from "./rules.ts";
import { summarise } from "./takeovers.ts";
import type {
  AuditOptions,
  AuditReport,
  BadVersion,
  Blocks,
  Disk,
  RecordedContribution,
  RecordedVersion,
} from "./types.ts";

/** Heartbeats that a peer listens to before its first claim (docs/design.md, "Leases"). */
const LISTEN_HEARTBEATS = 3;

/** What the disks say about one module. */
interface ModuleAudit {
  module: string;
  /** What peers said against versions that follow. */
  contradictions: string[];
  history: History;
  head: Node;
  /** Head over each disk by itself, in the order of the disks. */
  peerHeads: Node[];
  tensors: TensorPack["tensors"] | undefined;
  refolded: number;
  unverifiable: number;
}

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

interface ModuleInit {
  disks: readonly Disk[];
  manifest: Manifest;
  versions: ReadonlyMap<string, RecordedVersion>;
  evidence: Evidence;
  options: AuditOptions;
}

async function auditModule(
  module: string,
  contributions: readonly RecordedContribution[],
  { disks, manifest, versions, evidence, options }: ModuleInit,
): Promise<ModuleAudit> {
  const { config } = manifest;
  const genesis = versions.get(String(genesisOf(manifest, module)));
  if (genesis === undefined)
    throw new UnavailableError(`The genesis version of ${module} is on none of these disks.`);
  const blocks = together(disks);
  const own = new Map([...versions].filter(([, version]) => version.module === module));
  const history = readHistory({
    module,
    genesis,
    // Those of other modules, too, so that one which builds on this module is noticed.
    versions: [...versions.values()].filter(
      (version) => version.module === module || own.has(String(version.parent)),
    ),
    contributions: new Map(contributions.map((contribution) => [contribution.cid.toString(), contribution])),
    maxStaleness: config.outer.maxStaleness,
    stateNames: ["parameters", ...optimizerOf(config.outer).keeps],
  });
  const tensors = await describeTensors(blocks, history);
  let counted = { refolded: 0, unverifiable: 0 };
  if (tensors !== undefined)
    counted = await refold(history, tensors, {
      blocks,
      config,
      shardTokens: (path) => manifest.shards[path]?.tokens ?? 0,
      above: headOf(history)!.version.generation - (options.newest ?? Number.POSITIVE_INFINITY),
      onVersion: options.onVersion,
    });
  const contradictions: string[] = [];
  for (const node of history.nodes.values()) {
    const cid = node.version.cid.toString();
    const said = evidence.refusals.get(cid);
    if (said === undefined) continue;
    const wrong = contradictedVersion(said, node.follows === true);
    if (wrong === undefined) unsettle(node);
    else contradictions.push(`${module} generation ${node.version.generation} (${cid}): ${wrong}.`);
  }
  const head = headOf(history)!;
  return {
    module,
    contradictions,
    history,
    head,
    peerHeads: disks.map(
      (disk) => headOf(history, (node) => holds(disk, node, genesis)) ?? [...history.nodes.values()][0]!,
    ),
    tensors,
    ...counted,
  };
}

/** Whether a disk by itself has the records of a version. The manifest vouches for the genesis. */
function holds(disk: Disk, { version, contributions }: Node, genesis: RecordedVersion): boolean {
  return (
    version === genesis ||
    (disk.versions.has(version.cid.toString()) &&
      contributions.every(({ cid }) => disk.contributions.has(cid.toString())))
  );
}

/** The tensors of a module, from the first version of which a disk still has them. */
async function describeTensors(blocks: Blocks, history: History): Promise<TensorPack["tensors"] | undefined> {
  for (const { version } of history.nodes.values()) {
    const { parameters } = version.state;
    const root = parameters && (await blocks.read(parameters));
    if (root !== undefined) return TensorPack.decode(root).tensors;
  }
  return undefined;
}

interface SummaryInit {
  run: string;
  leaseMs: number;
  disks: readonly Disk[];
  evidence: Evidence;
  audits: readonly ModuleAudit[];
  /** What became of each contribution, by CID. */
  outcomes: ReadonlyMap<string, Outcome>;
}

function summary({ run, leaseMs, disks, evidence, audits, outcomes }: SummaryInit): AuditReport {
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
