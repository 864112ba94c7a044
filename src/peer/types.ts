import type { CID } from "multiformats/cid";
import type { TokenizedShard, Tokenizer } from "../data/types.ts";
import type { EngineConfig } from "../engine/types.ts";
import type { Logger } from "../log.ts";
import type { ModelShape } from "../model/types.ts";
import type { SwarmNetwork } from "../net/network.ts";
import type { Manifest, ShardReference } from "../objects/manifest.ts";
import type { Router } from "../routing/types.ts";
import type { Invite } from "../run/invite.ts";
import type { RunSizes } from "../run/sizes.ts";
import type { Topology } from "../run/types.ts";
import type { Store } from "../store/types.ts";
import type { Swarm } from "../swarm/swarm.ts";
import type { SwarmEvent } from "../swarm/types.ts";

export interface DeviceOptions {
  kind: EngineConfig["kind"];
  device: string;
  threads?: number;
}

export interface PeerOptions {
  /** Identity, blocks, optimizer state and lineage live here; a second process on it is refused. */
  directory: string;
  /** Absent when the directory already belongs to a run. */
  invite?: Invite;
  /** Multiaddrs; a peer that listens nowhere can only dial. @default [] */
  listen?: string[];
  /** Multiaddrs to tell others instead of those it listens on. @default [] */
  announce?: string[];
  /** Addresses to dial beside the invite's. @default [] */
  bootstrap?: string[];
  /** Whether to find peers on the local network. @default true */
  mdns?: boolean;
  /** A worker trains and owns modules; an observer reads and asks. @default "worker" */
  role?: "worker" | "observer";
  /** @default the compiled engine on the CPU */
  device?: DeviceOptions;
  /** Whether to keep the tensors of all generations. @default false */
  archive?: boolean;
  /** How much may be stored; without it only the disk sets a limit. */
  maxDiskBytes?: number;
  /** See NodeConfig. */
  maxConnections?: number;
  bytesPerSecond?: number;
  /** @default says nothing */
  logger?: Logger;
  emit?(event: SwarmEvent): void;
  signal?: AbortSignal;
}

export interface Peer {
  readonly run: CID;
  readonly manifest: Manifest;
  readonly topology: Topology;
  readonly shape: ModelShape;
  readonly sizes: RunSizes;
  readonly network: SwarmNetwork;
  readonly store: Store;
  readonly swarm: Swarm;
  /**
   * An invite to this run through this peer and the bootstraps it knows. Undefined in a private swarm, where it would
   * show the key to whoever reads a log: there it is only in the file `invite` of the directory.
   */
  invite(): string | undefined;
  /** The bytes of the run's `tokenizer.json`. */
  tokenizerJson(): Promise<Uint8Array>;
  tokenizer(): Promise<Tokenizer>;
  router(): Promise<Router>;
  shard(reference: ShardReference): Promise<TokenizedShard>;
  stop(): Promise<void>;
}
