import type { CID } from "multiformats/cid";
import type { Block } from "../objects/object.ts";

export interface FetchOptions {
  /** Peer ids that are believed to hold the blocks; tried first, several at once. */
  holders?: string[];
  /** When the holders fail, peers that announce this CID in the DHT are asked, then those that announce the block. */
  root?: CID;
  signal?: AbortSignal;
}

/** A fetch that is under way. */
export interface FetchProgress {
  readonly root: CID | undefined;
  /** Blocks that were not on this disk, and how many of them are by now. */
  readonly blocks: number;
  arrived: number;
  bytes: number;
  /** Peers that are asked, and those of them that gave something. */
  readonly holders: readonly string[];
  from: string[];
}
/** The blocks that a pin keeps from now on. */
export type RetentionChange = readonly [pin: string, cids: CID[]];

/** A small dag-cbor block, and the log to which it belongs or may belong. */
export interface LogBlock {
  log: string;
  block: Block;
}

/** What comes and goes with a change of retention: after a crash it is there if that is. */
export interface RecordChanges {
  /** Become the last entries of their logs, in this order, and stay for ever. Those that are entries already are passed over. */
  append?: readonly LogBlock[];
  /** Wait beside a log from now on, or no more. */
  wait?: readonly LogBlock[];
  leave?: readonly { log: string; cid: CID }[];
}

/** Logs of small blocks, such as the lineage of a module. */
export interface Records {
  /** The blocks of a log, in order. What is damaged or gone is left out, and the store not `complete` from then on. */
  entries(log: string): AsyncIterable<Block>;
  /** What waits beside a log. */
  waiting(log: string): Block[];
  /** Whether the block is an entry of a log that has been read. */
  has(cid: CID): boolean;
}

/** Bytes moved by block exchange since the start. */
export interface TransferCount {
  bytesIn: number;
  bytesOut: number;
}

/**
 * Content-addressed blocks on disk and, through bitswap, on other peers. Every read is checked against its
 * hash; a corrupt block on disk is dropped and fetched again. Every fetch has a deadline.
 */
export interface Store {
  /** Writes blocks durably. */
  put(blocks: Iterable<Block>): Promise<void>;
  /** Whether the block is on this disk, as it was written; what rotted since is found by reading it. */
  has(cid: CID): Promise<boolean>;
  /** Reads from this disk only; undefined when absent or corrupt. */
  local(cid: CID): Promise<Uint8Array | undefined>;
  /** Reads from disk or fetches from peers. Throws UnavailableError naming holders tried and why each failed. */
  get(cid: CID, options?: FetchOptions): Promise<Uint8Array>;
  /** Fetches many blocks from several holders at once; resolves when all are on this disk. */
  fetch(cids: CID[], options?: FetchOptions): Promise<void>;
  /**
   * Replaces the set of blocks that `pin` (a reason by name, such as `head:lower/1`) keeps. Blocks that no pin keeps
   * are deleted by `sweep`. Persists over restarts.
   */
  retain(pin: string, cids: CID[]): Promise<void>;
  /** Replaces the sets of several pins, and changes logs: after a crash all is as before or all as after. An empty set releases. */
  retainTogether(changes: Iterable<RetentionChange>, records?: RecordChanges): Promise<void>;
  release(pin: string): Promise<void>;
  /** What a pin keeps; empty when unknown. */
  retained(pin: string): Promise<CID[]>;
  /** Names of all pins that keep something. */
  pins(): Promise<string[]>;
  readonly records: Records;
  /**
   * Deletes blocks that no pin keeps and no log has, other than those that were written or needed within the last
   * `youngMs`. Returns how many.
   *
   * @default longer than anything takes from its first block to the pin that keeps it
   */
  sweep(youngMs?: number): Promise<number>;
  /** Whether all that was ever retained is known; not after the database was damaged, or lost beside its blocks. */
  readonly complete: boolean;
  /** Every block on this disk: what a database that is not complete is made again from. */
  all(): AsyncIterable<Uint8Array>;
  /** Says that it has been made again. */
  rebuilt(): Promise<void>;
  /** A small durable value by name (heads, optimizer state of a path); replaced atomically. */
  readState(name: string): Promise<Uint8Array | undefined>;
  writeState(name: string, bytes: Uint8Array): Promise<void>;
  readonly transferred: TransferCount;
  /** The fetches of blocks that are under way. */
  fetches(): FetchProgress[];
}
