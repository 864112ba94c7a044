import type { CID } from "multiformats/cid";
import type { Contribution } from "../objects/contribution.ts";
import type { Manifest } from "../objects/manifest.ts";
import type { Version } from "../objects/version.ts";
import type { LoggedEvent } from "./events.ts";
import type { Takeover } from "./takeovers.ts";

export interface RecordedVersion extends Version {
  cid: CID;
}

export type RecordedContribution = Contribution & {
  cid: CID;
  /** Peer id of the signer, whose signature was verified. */
  signer: string;
  /** Of its bases, that of its own module. */
  base: CID;
};

/** Where blocks can be read. Resolves to undefined when the block is absent or does not match its CID. */
export interface Blocks {
  read(cid: CID): Promise<Uint8Array | undefined>;
}

/** A peer that announced a version; `published` says whether as its own fold. */
export interface Announcer {
  peer: string;
  published: boolean;
}

/** What lies in the data folder of one peer. */
export interface Disk extends Blocks {
  /** The folder's own name, such as `peer-3`; the peer's name in the event log. */
  readonly name: string;
  readonly manifests: ReadonlyMap<string, Manifest>;
  /** By CID, like contributions. */
  readonly versions: ReadonlyMap<string, RecordedVersion>;
  readonly contributions: ReadonlyMap<string, RecordedContribution>;
  /** Contributions that nobody signed as they are. */
  readonly forged: number;
  /** Block files whose bytes are not what their name says. */
  readonly corrupt: readonly string[];
  /** Peers that announced a version to this peer, its publishers first, by the version's CID. */
  readonly announcers: ReadonlyMap<string, readonly Announcer[]>;
}

/** A data folder of a peer, on this disk or elsewhere. */
export interface Folder {
  /** Its own name, such as `peer-3`. */
  readonly name: string;
  /** Paths of all files below `blocks`, from the folder. Throws StorageError when the folder is none of a peer. */
  blocks(): Promise<string[]>;
  /** Undefined when it is not there. Throws StorageError. */
  read(path: string): Promise<Uint8Array | undefined>;
}

export interface AuditOptions {
  /** Data folders of peers of one run; whether they are running does not matter to blocks, only to what is newest. */
  directories: (string | Folder)[];
  /** What peers said and what was done to them, in order. */
  events?: AsyncIterable<LoggedEvent>;
  /** Fold only the newest so many generations of each module again; all when absent. Rules are checked for all. */
  newest?: number;
  /** Hears of each version whose fold was compared. */
  onVersion?: (version: RecordedVersion) => void;
}

export interface BadVersion {
  module: string;
  generation: number;
  cid: string;
  reason: string;
  /** Peer ids of its publishers, or else of those that passed it on, as far as the disks remember. */
  announcedBy: string[];
}

/** What the disks and the log prove. JSON as it is. */
export interface AuditReport {
  run: string;
  /** Names of the folders. */
  peers: string[];
  modules: string[];
  /** Head of every module by fork choice over the records of all disks together. */
  heads: Record<string, string>;
  /** The same over each disk by itself, by peer. */
  peerHeads: Record<string, Record<string, string>>;
  /** Whether each disk of a peer that was live at the end gives those heads by itself. */
  headsAgree: boolean;
  /** Outer updates in the ancestry of the heads, over all modules. */
  generations: number;
  /** Contributions that are signed and meet the rules, each once however many disks have it. */
  contributions: number;
  /** Of these, folded in the ancestry of the head. */
  folded: number;
  /** Not to be folded, for a reason that follows from the objects; a loss on held-out text is a peer's word. */
  rejected: number;
  /** Rejected ones by reason. */
  rejections: Record<string, number>;
  /** Neither folded nor rejected, and gone with the disk of their signer before anybody else had their tensors. */
  diedWithDisk: number;
  /** Still to be folded, in a run that is not over. */
  waiting: number;
  /** None of these: dropped in silence. */
  lost: number;
  /** Contributions that a version folds although itself or an ancestor folded that work already. */
  foldedTwice: number;
  /** Versions that do not lead back to a genesis of the manifest. */
  outsideGenesis: number;
  /** Versions that were folded again and whose CIDs were compared. */
  refolded: number;
  /** Versions with tensors missing on all disks, so that nothing can be compared. */
  unverifiable: number;
  corruptBlocks: number;
  /** Contributions with a signature that is not their author's, over all disks; no peer may keep one. */
  forged: number;
  /** The lowest of the versions that do not follow. */
  firstBadVersion?: BadVersion;
  takeovers: Takeover[];
  /** Of these. Null when none was needed, or there is no log. */
  takeoverMs: { median: number; max: number } | null;
  /** Lease time of the run; a takeover is due within twice of it. */
  leaseMs: number;
  /** Everything that is wrong, one line each; empty when the contract holds. */
  problems: string[];
}
