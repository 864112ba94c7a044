import type { Contribution } from "../../objects/contribution.ts";
import type { Version } from "../../objects/version.ts";
import type { Router } from "../types.ts";

/** One way to send documents to paths, and how a run comes to it. */
export interface RoutingMethod {
  /** Kinds of work by which the swarm changes the router; none when `create` fits it for good. */
  readonly work: readonly string[];
  /** The router's next state from contributions of these kinds. Absent without any. */
  readonly fold?: (state: Version["state"], contributions: readonly Contribution[]) => Version["state"];
  /** The router of the object that a version of it has under `router`. Throws InvalidObjectError. */
  route(object: Uint8Array): Router;
}
