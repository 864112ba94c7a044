/** The tensors of every module of a run: those of the parts of the network that its level has. */
import { parameterSpecs } from "../model/parameters.ts";
import type { ModelShape } from "../model/types.ts";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import type { Topology } from "../run/types.ts";

/** Names and shapes by module name, in the order of the flat vector. */
export function moduleTensors(topology: Topology, shape: ModelShape): Map<string, TensorDescription[]> {
  const specs = parameterSpecs(shape);
  return new Map(
    topology.modules.map(({ name, level }) => {
      const parts = topology.levels[level]!.parts;
      const own = specs.filter((spec) => parts.includes(spec.part));
      return [name, own.map((spec) => ({ name: spec.name, shape: spec.shape }))];
    }),
  );
}
