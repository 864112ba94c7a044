/** What is known of how others reach this node: where they saw it come from, and which of its addresses are public. */
import type { Connection, IdentifyResult, Libp2pEvents, Startable } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { defaultSources } from "./machine.ts";
import { hostOf, isRelayed, scopeOf } from "./scope.ts";

/** A liar can at most fill this and reorder addresses that this node does have. */
const MAX_SEEN = 64;

/** The parts of libp2p that this takes. */
export interface ReachComponents {
  events: Listenable;
  addressManager: {
    getAddressesWithMetadata(): { multiaddr: Multiaddr; verified: boolean; type: string }[];
    confirmObservedAddr(address: Multiaddr, options: { type: "transport" }): void;
  };
}
export interface Listenable {
  addEventListener<K extends keyof Libp2pEvents>(name: K, listener: (event: Libp2pEvents[K]) => void): void;
  removeEventListener<K extends keyof Libp2pEvents>(
    name: K,
    listener: (event: Libp2pEvents[K]) => void,
  ): void;
}

/** A libp2p service. Fires `change` when others see this node come from one more address. */
export class Reach extends EventTarget implements Startable {
  /** IP addresses from which those that this node dialled saw it come. */
  readonly seen = new Set<string>();
  /** IP addresses from which this machine speaks to the world; none for a node that listens within the machine only. */
  sources: ReadonlySet<string> = new Set();
  /** Whether somebody with a public address dialled this node directly. */
  dialledFromOutside = false;
  readonly #components: ReachComponents;
  readonly #listensOutside: boolean;

  /** `listen` is what the node listens on. */
  constructor(components: ReachComponents, listen: readonly string[]) {
    super();
    this.#components = components;
    this.#listensOutside = listen.some(
      (address) => !isRelayed(address) && scopeOf(hostOf(address)) !== "loopback",
    );
  }

  async start(): Promise<void> {
    const { events } = this.#components;
    events.addEventListener("peer:identify", this.#onIdentify);
    events.addEventListener("connection:open", this.#onConnection);
    events.addEventListener("transport:listening", this.#onListening);
    if (this.#listensOutside) this.sources = await defaultSources();
  }

  stop(): void {
    const { events } = this.#components;
    events.removeEventListener("peer:identify", this.#onIdentify);
    events.removeEventListener("connection:open", this.#onConnection);
    events.removeEventListener("transport:listening", this.#onListening);
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { direction, remoteAddr } = detail.connection;
    // Whom this node dialled it chose; anybody can dial it and lie.
    if (detail.observedAddr === undefined || direction !== "outbound" || isRelayed(remoteAddr)) return;
    const host = hostOf(detail.observedAddr);
    if (this.seen.has(host) || this.seen.size >= MAX_SEEN) return;
    this.seen.add(host);
    this.dispatchEvent(new Event("change"));
  };

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => {
    const { direction, remoteAddr } = detail;
    if (direction === "inbound" && !isRelayed(remoteAddr) && scopeOf(hostOf(remoteAddr)) === "public")
      this.dialledFromOutside = true;
  };

  /**
   * libp2p tells nobody of a public address until others confirm it, which its AutoNAT does in public swarms only. Here
   * an address that an interface of this machine has is told at once; whoever cannot dial it tries the next.
   */
  readonly #onListening = (): void => {
    const { addressManager } = this.#components;
    for (const { multiaddr, verified, type } of addressManager.getAddressesWithMetadata())
      if (type === "transport" && !verified && scopeOf(hostOf(multiaddr)) === "public")
        addressManager.confirmObservedAddr(multiaddr, { type: "transport" });
  };
}
