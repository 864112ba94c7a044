/** What lies on the disk of a machine, for the checks. */
import type { CID } from "multiformats/cid";
import { Contribution } from "../../objects/contribution.ts";
import { dagCborCid, kindOf } from "../../objects/object.ts";
import { TensorPack } from "../../objects/tensor-pack.ts";
import { Version } from "../../objects/version.ts";
import { blockAt, blockPath, BLOCKS } from "../../store/layout.ts";
import type { MemoryDisk } from "./disk.ts";
import type { Restored } from "./types.ts";

/** Versions and contributions on a disk that no process uses, such as a clone; a contribution is complete when its tensors are there. */
export async function recordsOn(disk: MemoryDisk): Promise<Restored["records"]> {
  const { files } = disk;
  const records: Restored["records"] = [];
  const has = async (cid: CID): Promise<boolean> => (await files.facts(blockPath(cid))) !== undefined;
  const isWhole = async (pack: CID): Promise<boolean> => {
    const bytes = await files.read(blockPath(pack));
    if (bytes === undefined || kindOf(bytes) !== TensorPack.kind) return false;
    for (const chunk of TensorPack.decode(bytes).chunks) if (!(await has(chunk))) return false;
    return true;
  };
  for await (const path of files.list(BLOCKS)) {
    if (blockAt(path) === undefined) continue;
    const bytes = (await files.read(path))!;
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
