import type { CID } from "multiformats/cid";
import type { RunConfig } from "../objects/config.ts";
import type { Contribution } from "../objects/contribution.ts";
import type { Version } from "../objects/version.ts";
import type { Plan } from "../plan/types.ts";
import type { Topology } from "../run/types.ts";

/** A contribution with the identity of its signed block. */
export type KnownContribution = Contribution & {
  cid: CID;
  /** Peer id of the signer. */
  signer: string;
  /** Of its bases, that of its own module. */
  base: CID;
};

/** A version with its identity. */
export interface KnownVersion extends Version {
  cid: CID;
}

/** Something that was not used, and why. */
export interface Rejection {
  cid: CID;
  reason: string;
}

/** What became of a version or contribution that was handed to the lineage. */
export interface Addition {
  /** Whether it is in the lineage now (also when it was before). */
  added: boolean;
  /** What it waits for when it is not: fetch this and add it. */
  missing?: CID;
  /** Waiting versions that this arrival showed to break the rules; they were dropped. */
  refused: Rejection[];
}

export interface LineageInit {
  module: string;
  /** The version that the manifest names for this module. */
  genesis: KnownVersion;
  topology: Topology;
  config: RunConfig;
  /** Of the same run. */
  plan: Plan;
  runId: CID;
}

/** A head in brief, for heartbeats and anti-entropy: equal heads mean equal histories. */
export interface LineageSummary {
  head: CID;
  generation: number;
  /** Weight of fork choice. */
  tokens: number;
}

/** What one peer tells another to learn what it lacks. */
export interface Have {
  /** The head, tips of other branches, then ancestors of the head at growing distances, and genesis. */
  versions: CID[];
  /** Contributions that the head has not folded. */
  contributions: CID[];
}

/** What an asker lacks. */
export interface Lack {
  versions: CID[];
  contributions: CID[];
  /** Both together, each after all that it depends on, so that an answer may be cut anywhere. */
  order: CID[];
  /** Whether more follows; ask again once these are added. */
  more: boolean;
}
