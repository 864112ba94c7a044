/**
 * Whom a node of a simulated network looks for, and when: bootstraps until they are reached, peers of peers soon after
 * a connection, as the DHT does, and whoever was lost, five times.
 */
import { peerOfAddress } from "../../net/addresses.ts";
import type { Node } from "./node.ts";

const BOOTSTRAP_MS: readonly [first: number, last: number] = [500, 30_000];
/** The DHT looks for peers near itself after a first connection, and seldom again. */
const WALK_MS: readonly [first: number, again: number] = [1_000, 300_000];
const MOST_WALKED = 20;
const RECONNECTS_MS = [1_000, 2_000, 4_000, 8_000, 16_000];

export class Seeker {
  readonly #node: Node;
  #bootstrapDelay = BOOTSTRAP_MS[0];
  #cancelBootstrap = (): void => {};
  #cancelWalk = (): void => {};

  constructor(node: Node) {
    this.#node = node;
  }

  start(): void {
    this.#bootstrap(true);
  }

  connected(): void {
    this.#walkIn(WALK_MS[0]);
  }

  /** A peer has no connection with this one any more. */
  lost(peer: string): void {
    const isAlone = this.#node.connections.size === 0;
    if (isAlone) this.#bootstrapDelay = BOOTSTRAP_MS[0];
    this.#bootstrap(isAlone);
    this.#reconnect(peer, 0);
  }

  #walkIn(milliseconds: number): void {
    const node = this.#node;
    this.#cancelWalk();
    this.#cancelWalk = node.after(milliseconds, () => {
      const strangers = node
        .reachable()
        .filter((other) => other.listens && node.connectionWith(other.peer) === undefined);
      for (const { address } of strangers.slice(0, MOST_WALKED)) this.#try(address);
      if (node.connections.size > 0) this.#walkIn(WALK_MS[1]);
    });
  }

  #reconnect(peer: string, attempt: number): void {
    const node = this.#node;
    const wait = RECONNECTS_MS[attempt];
    const [address] = node.known.get(peer) ?? [];
    if (wait === undefined || address === undefined) return;
    node.after(wait, () => {
      if (node.connectionWith(peer) !== undefined) return;
      void node.dial(address).catch(() => this.#reconnect(peer, attempt + 1));
    });
  }

  /** Dials bootstraps that are not connected, now or later, and ever more seldom while it is in vain. */
  #bootstrap(now: boolean): void {
    const node = this.#node;
    this.#cancelBootstrap();
    const missing = (node.options.bootstrap ?? []).filter((address) => {
      const peer = peerOfAddress(address);
      return peer === undefined || (peer !== node.peer && node.connectionWith(peer) === undefined);
    });
    if (missing.length === 0) {
      this.#bootstrapDelay = BOOTSTRAP_MS[0];
      return;
    }
    if (now) for (const address of missing) this.#try(address);
    this.#cancelBootstrap = node.after(this.#bootstrapDelay, () => {
      this.#bootstrapDelay = Math.min(2 * this.#bootstrapDelay, BOOTSTRAP_MS[1]);
      this.#bootstrap(true);
    });
  }

  #try(address: string): void {
    this.#node.dial(address).catch(() => {
      // It is tried again, or somebody else is.
    });
  }
}
