/** The model of a run out of a peer's data folder, without a network, whether the peer runs or not. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, UnavailableError, UsageError } from "../errors.ts";
import { modelShape } from "../model/parameters.ts";
import { moduleTensors } from "../peer/module-tensors.ts";
import { TokenizerObject } from "../objects/data.ts";
import { Manifest, ROUTER } from "../objects/manifest.ts";
import { Version } from "../objects/version.ts";
import { Lineage } from "../outer/lineage.ts";
import { openRecord } from "../outer/records.ts";
import type { KnownVersion } from "../outer/types.ts";
import type { ModelSource } from "./path-model.ts";
import { routingMethod } from "../routing/methods.ts";
import { routerOf } from "../routing/router.ts";
import { createTopology } from "../run/topology.ts";
import { checkManifest, validateConfig } from "../run/validate.ts";
import { readInvite } from "../store/invite-file.ts";
import { readPack } from "../store/pack.ts";
import { readOnlyBlocks, type StoredBlocks } from "../store/read-only.ts";
import { readParameters } from "../swarm/modules/module-states.ts";
import { createPlan } from "../plan/plan.ts";

/**
 * Reads the lineage in a folder. Heads are those that the records there make heads, even when their tensors are
 * elsewhere: `parameters` then throws UnavailableError, and no older version is taken in their place. Throws
 * UsageError when the folder has no run, StorageError when the disk refuses.
 */
export async function openFolderModel(directory: string): Promise<ModelSource> {
  const invite = await readInvite(directory);
  if (invite === undefined)
    throw new UsageError(
      `There is no run in ${directory}. Name the folder of a peer with --data, or give an invite with --invite.`,
    );
  const blocks = readOnlyBlocks(directory);
  const manifest = Manifest.decode(await blocks.get(invite.run));
  const { config } = manifest;
  validateConfig(config);
  const topology = createTopology(config);
  checkManifest(manifest, topology);
  const shape = modelShape(config.model);
  const tensors = moduleTensors(topology, shape);

  const plan = createPlan({ ...manifest, topology });
  const lineages = new Map<string, Lineage>();
  for (const { module, version: cid } of manifest.genesis) {
    const genesis = { ...Version.decode(await blocks.get(cid)), cid };
    lineages.set(module, new Lineage({ module, genesis, topology, config, plan, runId: invite.run }));
  }
  await addRecords(blocks, lineages);

  const lineage = (module: string): Lineage =>
    lineages.get(module === ROUTER ? ROUTER : topology.module(module).name)!;
  return {
    run: invite.run,
    manifest,
    topology,
    plan,
    shape,
    head: (module) => lineage(module).head(),
    async parameters(module, of, signal) {
      const version = of === "head" ? lineage(module).head() : lineage(module).ancestry().at(-1)!;
      const packs = {
        read: (cid: CID, options: { maxBytes: number }) => readPack(blocks, cid, options),
      };
      try {
        return await readParameters(packs, version, tensors.get(module)!, [], signal);
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        throw new UnavailableError(`${describeVersion(version)} is not whole in ${directory}.`);
      }
    },
    async tokenizerJson() {
      const object = TokenizerObject.decode(await blocks.get(manifest.tokenizer));
      return Buffer.concat(await Promise.all(object.chunks.map((cid) => blocks.get(cid))));
    },
    router: async () =>
      routingMethod(config.routing.method).route(await blocks.get(routerOf(lineage(ROUTER).head()))),
    bytesReceived: () => 0,
  };
}

function describeVersion({ module, generation }: KnownVersion): string {
  return generation === 0 ? `The warm start of ${module}` : `${module} of generation ${generation}`;
}

/** Adds every version and contribution that is there; what waits for another one is added with it. */
async function addRecords(blocks: StoredBlocks, lineages: ReadonlyMap<string, Lineage>): Promise<void> {
  for await (const bytes of blocks.small())
    try {
      const { type, record } = await openRecord(bytes);
      const lineage = lineages.get(record.module);
      if (type === "contribution") lineage?.addContribution(record);
      // The genesis versions are there already.
      else if (record.parent !== null) lineage?.addVersion(record);
    } catch (error) {
      // Of another run, or of somebody who broke a rule: no part of this lineage.
      if (!(error instanceof InvalidObjectError)) throw error;
    }
}
