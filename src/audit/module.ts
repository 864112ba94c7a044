/** The audit of one module: its history as the disks have it, folded again and held against what peers said. */
import { UnavailableError } from "../errors.ts";
import { genesisOf, type Manifest } from "../objects/manifest.ts";
import { TensorPack } from "../objects/tensor-pack.ts";
import { together } from "./disk.ts";
import type { Evidence } from "./events.ts";
import { headOf, type History, type Node, readHistory, unsettle } from "./history.ts";
import { optimizerOf } from "./optimizers.ts";
import { refold } from "./refold.ts";
import { contradictedVersion } from "./rejections.ts";
import type { AuditOptions, Blocks, Disk, RecordedContribution, RecordedVersion } from "./types.ts";

/** What the disks say about one module. */
export interface ModuleAudit {
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

interface ModuleInit {
  disks: readonly Disk[];
  manifest: Manifest;
  versions: ReadonlyMap<string, RecordedVersion>;
  evidence: Evidence;
  options: AuditOptions;
}

/**
 * Audits what the disks hold of one module. Throws UnavailableError when its genesis version is on no disk; everything
 * else that is wrong is in the result.
 */
export async function auditModule(
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
    // Versions of other modules, too, to notice one that builds on this module.
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
