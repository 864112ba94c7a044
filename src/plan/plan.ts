/** The plans that there are, by the routing method of the run. */
import { InvalidObjectError } from "../errors.ts";
import type { Manifest } from "../objects/manifest.ts";
import type { Topology } from "../run/types.ts";
import { createKmeansPlan } from "./kmeans.ts";
import type { Plan } from "./types.ts";

/** What a plan follows from. */
export interface PlanInit extends Pick<Manifest, "config" | "genesis"> {
  /** By path. */
  shards: readonly { tokens: number }[];
  topology: Topology;
}

const PLANS: ReadonlyMap<string, (init: PlanInit) => Plan> = new Map([["kmeans", createKmeansPlan]]);

/** The plan of a run. Throws InvalidObjectError when this release does not know its method. */
export function createPlan(init: PlanInit): Plan {
  const { method } = init.config.routing;
  const create = PLANS.get(method);
  if (create === undefined)
    throw new InvalidObjectError(
      `This run routes by ${method}, which this release of Pathweave does not know; install a newer one.`,
    );
  return create(init);
}
