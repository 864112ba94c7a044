/** Generation 0 of every module: what all lineages of a run start from. */
import type { CID } from "multiformats/cid";
import { elementsOfParts, parameterSpecs } from "../model/parameters.ts";
import type { ModelShape } from "../model/types.ts";
import { type Manifest, ROUTER } from "../objects/manifest.ts";
import type { Block } from "../objects/object.ts";
import { Version } from "../objects/version.ts";
import { encodeTensors } from "../outer/codec.ts";
import type { Topology } from "../run/types.ts";
import type { Store } from "../store/types.ts";
import type { Packs } from "../swarm/types.ts";

function genesisVersion(module: string, state: Version["state"]): Block {
  return Version.encode({ module, generation: 0, parent: null, contributions: [], state, tokens: 0 });
}

/** Stores the genesis versions of the network's modules: each holds its slice of `parameters`. */
export async function writeGenesis(
  store: Store,
  packs: Packs,
  topology: Topology,
  shape: ModelShape,
  parameters: Float32Array,
): Promise<Manifest["genesis"]> {
  const specs = parameterSpecs(shape);
  const elements = elementsOfParts(shape);
  const genesis: Manifest["genesis"] = [];
  let offset = 0;
  for (const level of topology.levels) {
    const size = level.parts.reduce((sum, part) => sum + elements.get(part)!, 0);
    const tensors = specs
      .filter((spec) => level.parts.includes(spec.part))
      .map((spec) => ({ name: spec.name, shape: spec.shape }));
    const bytes = encodeTensors(parameters.subarray(offset, offset + size), "f32");
    offset += size;
    const pack = await packs.write({ tensors, codec: "f32", bytes });
    for (const module of topology.modules.filter((candidate) => candidate.level === level.index)) {
      const block = genesisVersion(module.name, { parameters: pack });
      await store.put([block]);
      await store.retain(`genesis:${module.name}`, [block.cid, ...(await packs.blocks(pack))]);
      genesis.push({ module: module.name, version: block.cid });
    }
  }
  return genesis;
}

/** Stores the router's genesis version, and the router's own object with it. */
export async function writeRouter(store: Store, router: Block): Promise<CID> {
  const version = genesisVersion(ROUTER, { router: router.cid });
  await store.put([router, version]);
  return version.cid;
}
