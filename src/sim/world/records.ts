/** What lies on the disk of a machine, for the checks. */
import type { CID } from "multiformats/cid";
import { Contribution } from "../../objects/contribution.ts";
import type { Clock } from "../../clock.ts";
import { silentLogger } from "../../log.ts";
import { dagCborCid, kindOf, matches } from "../../objects/object.ts";
import { TensorPack } from "../../objects/tensor-pack.ts";
import { Version } from "../../objects/version.ts";
import { CheckedBlockstore } from "../../store/blockstore.ts";
import { blockAt, blockPath, BLOCKS } from "../../store/layout.ts";
import { openRetention } from "../../store/retention.ts";
import type { MemoryDisk } from "./disk.ts";
import type { Restored } from "./types.ts";

/** Versions and contributions on a disk that no process uses, such as a clone; a contribution is complete when its tensors are there. */
export async function recordsOn(disk: MemoryDisk): Promise<Restored["records"]> {
  const { files } = disk;
  const records: Restored["records"] = [];
  const has = async (cid: CID): Promise<boolean> => (await files.facts(blockPath(cid))) !== undefined;
  const isWhole = async (pack: CID): Promise<boolean> => {
    const bytes = await files.read(blockPath(pack));
    if (bytes === undefined || !matches(pack, bytes) || kindOf(bytes) !== TensorPack.kind) return false;
    for (const chunk of TensorPack.decode(bytes).chunks) if (!(await has(chunk))) return false;
    return true;
  };
  for await (const path of files.list(BLOCKS)) {
    const hash = blockAt(path);
    const bytes = await files.read(path);
    // What rotted is no record any more.
    if (hash === undefined || bytes === undefined || !matches(hash, bytes)) continue;
    const kind = kindOf(bytes);
    const cid = dagCborCid(bytes).toString();
    if (kind === Version.kind) {
      const { module } = Version.decode(bytes);
      records.push({ module, cid, signer: undefined, complete: true });
    } else if (kind === `${Contribution.kind}/signed`) {
      const { value, signer } = await Contribution.open(bytes);
      records.push({ module: value.module, cid, signer, complete: await isWhole(value.delta) });
    }
  }
  return records;
}

/** Pins of what a peer retains before it has it. */
const TO_COME = /^(run$|object:)/;

/** Paths of blocks on a disk that no process uses that somebody retains and that are there, and not whole, or not there. */
export async function pinsOn(
  disk: MemoryDisk,
  clock: Clock,
): Promise<Pick<Restored, "pins" | "harmed" | "missing">> {
  const { files, database } = disk;
  const blocks = new CheckedBlockstore(files, silentLogger);
  const retention = await openRetention({ files, database, blocks, clock });
  const harmed: string[] = [];
  const missing: Restored["missing"] = [];
  const pins = retention.pins().filter((pin) => !TO_COME.test(pin));
  for (const pin of pins)
    for (const cid of retention.retained(pin)) {
      const path = blockPath(cid);
      const bytes = await files.read(path);
      if (bytes === undefined) missing.push({ pin, path });
      else if (!matches(cid, bytes)) harmed.push(path);
    }
  return { pins: new Set(pins), harmed, missing };
}
