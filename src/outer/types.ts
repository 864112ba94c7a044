import type { CID } from "multiformats/cid";
import type { Contribution } from "../objects/contribution.ts";
import type { Version } from "../objects/version.ts";

/** A contribution with the identity of its signed block. */
export interface KnownContribution extends Contribution {
  cid: CID;
  /** Peer id of the signer. */
  signer: string;
}

/** A version with its identity. */
export interface KnownVersion extends Version {
  cid: CID;
}

/** A module's tensors as flat vectors. */
export interface ModuleState {
  parameters: Float32Array;
  /** Nesterov buffer b. */
  momentum: Float32Array;
}
