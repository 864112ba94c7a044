/** The ways to route that a run can name in `routing.method`. */
import { InvalidObjectError } from "../errors.ts";
import { kmeans } from "./methods/kmeans.ts";
import type { RoutingMethod } from "./methods/types.ts";

export const ROUTING_METHODS: Readonly<Record<string, RoutingMethod>> = { kmeans };

/** Looks one up by name. Throws InvalidObjectError when there is none. */
export function routingMethod(name: string): RoutingMethod {
  if (!Object.hasOwn(ROUTING_METHODS, name))
    throw new InvalidObjectError(`There is no routing method "${name.slice(0, 40)}".`);
  return ROUTING_METHODS[name]!;
}
