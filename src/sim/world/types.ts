import type { AuditReport } from "../../audit/types.ts";
import type { Swarm } from "../../swarm/swarm.ts";

/** A process that has just read its disk, or has come to the end of the world. */
export interface Restored {
  name: string;
  /** Peer id of its own. */
  peer: string;
  swarm: Pick<Swarm, "lineage">;
  maxStaleness: number;
  /** CIDs of versions and contributions that this disk's peer has announced, as long as no fault damaged the disk. */
  announced: ReadonlySet<string>;
  /** Records whose blocks are on the disk, by module. */
  records: { module: string; cid: string; signer: string | undefined; complete: boolean }[];
  /** Names under which the disk's peer retains what it has. */
  pins: ReadonlySet<string>;
  /** Blocks that the disk's peer retained and whose files are there and not whole, but for flipped bits. */
  harmed: string[];
  /** Blocks that the disk's peer retained and that are not there, but for flipped bits. */
  missing: { pin: string; path: string }[];
}

/** How a world ended. */
export interface Ended {
  report: AuditReport;
  /** Whether the core had all rounds and agreed within its time. */
  finished: boolean;
  /** What was wrong with that, one line a peer. */
  unfinished: string[];
  /** Files that a flipped bit or a loss of power harmed, as the auditor names them. Nobody may have read them since. */
  rotted: ReadonlySet<string>;
  /** CIDs of false versions that an intruder announced. Disks may hold them, as records on which nobody builds. */
  lies: ReadonlySet<string>;
}

/** One invariant. Each method returns what breaks it, one line each. */
export interface Check {
  readonly name: string;
  restored?(process: Restored): string[];
  ended?(end: Ended): string[];
}

/** What came of one seed. */
export interface Outcome {
  seed: number;
  peers: number;
  /** Faults by kind. */
  faults: Record<string, number>;
  attacks: number;
  contributions: number;
  folded: number;
  rejected: Record<string, number>;
  diedWithDisk: number;
  lost: number;
  foldedTwice: number;
  headsAgree: boolean;
  /** Invariants that do not hold, one line each. */
  broken: string[];
  /** Rare branches that were reached. */
  marks: string[];
  /** Simulated time, in ms. */
  milliseconds: number;
  /** sha256 of the trace. */
  digest: string;
}
