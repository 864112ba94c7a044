import type { PrivateKey } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Clock } from "../clock.ts";
import type { Admission } from "./admission.ts";

/** What a validator says against a gossip message: reject counts against the sender, ignore does not. */
export type Refusal = "reject" | "ignore";

/** What is done with the messages of a topic; each is decoded and verified once, to a `T`. */
export interface GossipHandler<T extends object> {
  /**
   * Runs before anything is forwarded or delivered. `from` is the verified author. Returns what the message says;
   * an InvalidObjectError is a rejection, with its reason.
   */
  validate(from: string, data: Uint8Array): T | Refusal | Promise<T | Refusal>;
  deliver(from: string, message: T): void;
  /** Told of what was rejected, for its size too. */
  rejected?(from: string, data: Uint8Array, reason: string): void;
}

/** A namespace of DHT records, such as module heads. */
export interface RecordHandler {
  /** Throws when the record is invalid or rolls back a newer one. */
  validate(key: string, value: Uint8Array): Promise<void>;
  /** Index of the best of several valid values. */
  select(key: string, values: Uint8Array[]): number;
}

/** A request–response protocol over a stream; messages are length-prefixed and capped. */
export interface RequestHandler {
  (from: string, request: Uint8Array): Promise<Uint8Array>;
}

export interface Connection {
  peer: string;
  address: string;
  direction: "inbound" | "outbound";
}

/** What is thought of peers. */
export interface PeerJudge {
  /** How much a peer's gossip score is lowered; at 80 it is not listened to. */
  penalty(peer: string): number;
  /** Whether a peer is kept out: no connection, no answer. */
  blocked(peer: string): boolean;
}

/** The network as the swarm sees it. Every await takes or has a deadline; failures name their reason. */
export interface Network {
  readonly peerId: string;
  readonly privateKey: PrivateKey;
  /** Own multiaddrs including /p2p/… */
  addresses(): string[];
  connections(): Connection[];
  /** Addresses at which a peer said it can be reached; empty when it is not known. */
  addressesOf(peer: string): Promise<string[]>;
  /** Resolves when connected to the peer or an address; throws NetworkError. */
  dial(target: string, signal?: AbortSignal): Promise<void>;
  subscribe<T extends object>(topic: string, handler: GossipHandler<T>): void;
  unsubscribe(topic: string): void;
  /** Peer ids that received it directly; empty when nobody is subscribed yet. Throws NetworkError above the size cap. */
  publish(topic: string, data: Uint8Array): Promise<string[]>;
  /** Peers known to subscribe to the topic. */
  subscribers(topic: string): string[];
  /** Announces in the DHT that this peer has `cid`. */
  provide(cid: CID, signal?: AbortSignal): Promise<void>;
  findProviders(cid: CID, signal?: AbortSignal): AsyncIterable<{ peer: string; addresses: string[] }>;
  putRecord(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void>;
  getRecord(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  handle(protocol: string, handler: RequestHandler): Promise<void>;
  request(peer: string, protocol: string, data: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** Asks this judge from now on. */
  judgeBy(judge: PeerJudge): void;
  /** Closes all connections with a peer. */
  disconnect(peer: string): void;
  /** Connected peers that speak another version of the protocol, and which. */
  otherProtocols(): { peer: string; protocol: number }[];
  onPeer(listener: (peer: string, event: "connect" | "disconnect") => void): () => void;
}

export interface NodeConfig {
  privateKey: PrivateKey;
  /** Of deadlines, retries and rates; libp2p itself keeps the system's time. */
  clock: Clock;
  /** Multiaddrs to listen on. */
  listen: string[];
  announce: string[];
  /** Multiaddrs of bootstrap nodes or any peers, dialled until connected. */
  bootstrap: string[];
  /** Find peers on the local network. */
  mdns: boolean;
  records: Record<string, RecordHandler>;
  /** Contents of a libp2p swarm key, or undefined for an open swarm. */
  swarmKey?: Uint8Array;
  /** Who may connect and take part; everybody when absent. */
  admission?: Admission;
  /** Inbound connections are refused, and idle ones closed, above this many. 200 when absent. */
  maxConnections?: number;
  /** What all connections together may send, and likewise receive, in a second. */
  bytesPerSecond?: number;
}
