/** What a scenario needs of a network, whichever it is: js-libp2p's interface tests are the model. */
import type { TestContext } from "node:test";
import type { Network, RecordHandler } from "../../../src/net/types.ts";
import type { Store } from "../../../src/store/types.ts";

export interface Member {
  network: Network;
  store: Store;
  /** Says any bytes on a topic, past our own cap. */
  say(topic: string, data: Uint8Array): Promise<void>;
  /** Peers to which what it publishes on a topic would go now. */
  audience(topic: string): string[];
  /** How its gossip is thought of; below −80 it is not listened to. */
  score(peer: string): number;
  /** Its process ends. */
  stop(): Promise<void>;
}

export interface MemberOptions {
  bootstrap?: string[];
  records?: Record<string, RecordHandler>;
  /** Whether others can dial it. @default true */
  listens?: boolean;
}

/** Starts members of one network. */
export interface World {
  start(options?: MemberOptions): Promise<Member>;
  /** Resolves once the condition holds. */
  until(condition: () => boolean): Promise<void>;
  /** Aborts after a time of this world. */
  timeout(milliseconds: number): AbortSignal;
}

/** A world that ends with the test. */
export type Setup = (t: TestContext) => World;
