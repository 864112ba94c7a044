/** The run that chaos strikes: the tiny one, with short times so that a seed takes half a minute. */
import path from "node:path";
import { mkdir } from "node:fs/promises";
import type { CID } from "multiformats/cid";
import { readDisk } from "../../src/audit/disk.ts";
import type { Manifest } from "../../src/objects/manifest.ts";
import { createTinyRun } from "./tiny-run.ts";

const swarm = {
  heartbeatSeconds: 0.5,
  leaseSeconds: 4,
  settleSeconds: 0.3,
  graceSeconds: 10,
  antiEntropySeconds: 3,
};

/** Makes the run; `prepared` is the folder of a peer that holds it. */
export async function createChaosFolder(
  directory: string,
  training: Record<string, unknown> = {},
): Promise<{ prepared: string; run: CID; manifest: Manifest }> {
  await mkdir(directory, { recursive: true });
  const prepared = path.join(directory, "data");
  const run = await createTinyRun(directory, prepared, { swarm, training: { innerSteps: 45, ...training } });
  const { manifests } = await readDisk(prepared);
  return { prepared, run, manifest: manifests.get(run.toString())! };
}
