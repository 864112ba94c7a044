/**
 * Keeps a node that others may not be able to dial reachable through relays. libp2p's own search for relays walks the
 * DHT without end where there is none, and takes anybody's; and a relay that it was told to use is given up for good
 * when the relay restarts. So relays are chosen here, and libp2p makes and renews the reservations.
 */
import { circuitRelayTransport, RELAY_V2_HOP_CODEC } from "@libp2p/circuit-relay-v2";
import type { Connection, IdentifyResult, Listener, PeerId, Startable, Transport } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import { timeout } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import { peerOfAddress } from "./addresses.ts";
import { withDeadline } from "./deadline.ts";
import type { Listenable, Reach } from "./reach.ts";
import { needsRelay, type OwnAddress, ownScopes, type RelayNeed, relaysOf } from "./relay-need.ts";
import { hostOf, isRelayed, MOST_RELAYS, placesAt, scopeOf } from "./scope.ts";
import type { NodeConfig } from "./types.ts";

const RESERVE_MS = 10_000;
/** libp2p's own deadline does not cover all that it does for a reservation. */
const TAKE_DEADLINE_MS = RESERVE_MS + 5_000;
const RETRY_MS = 30_000;
/** Peers that were connected through a relay and are dialled again when it is back. */
const MOST_LOST = 50;
const REDIAL_MS = [0, 2_000, 5_000, 15_000];
const REDIAL_DEADLINE_MS = 10_000;

/** The parts of libp2p that this takes. */
export interface RelayComponents {
  events: Listenable;
  transportManager: { listen(addresses: Multiaddr[]): Promise<void>; getListeners(): Listener[] };
  connectionManager: {
    getConnections(): Connection[];
    openConnection(peer: PeerId, options: { signal: AbortSignal }): Promise<Connection>;
  };
  addressManager: { getAddressesWithMetadata(): OwnAddress[] };
}

type TransportFactory = ReturnType<typeof circuitRelayTransport>;

/**
 * libp2p's part, without its search: with `has` always true it never looks at a peer. A relay that gives a place also
 * says at which addresses; what it says of other relays is not believed.
 */
export function relayTransport(): TransportFactory {
  const create = circuitRelayTransport({
    reservationCompletionTimeout: RESERVE_MS,
    // When a reservation ends well, libp2p drops those that wait for it, for ever: the renewal of the second place, too.
    reservationConcurrency: Number.POSITIVE_INFINITY,
    discoveryFilter: { has: () => true, add: () => {}, remove: () => {} },
  });
  return (components) => {
    const transport = create(components);
    const listenerOf: Transport["createListener"] = transport.createListener.bind(transport);
    transport.createListener = (options) => withOwnPlaces(listenerOf(options));
    return transport;
  };
}

function withOwnPlaces(listener: Listener): Listener {
  let relay = "";
  const [listen, addressesOf] = [listener.listen.bind(listener), listener.getAddrs.bind(listener)];
  listener.listen = (address) => {
    relay = peerOfAddress(address.decapsulate("/p2p-circuit").toString()) ?? "";
    return listen(address);
  };
  listener.getAddrs = () => placesAt(relay, addressesOf());
  return listener;
}

/** A libp2p service. Relays are the bootstraps that offer it. Fires `change` when `addresses` changed. */
export class Relays extends EventTarget implements Startable {
  readonly #components: RelayComponents;
  readonly #config: NodeConfig;
  readonly #reach: () => Reach;
  readonly #allowed: ReadonlySet<string | undefined>;
  readonly #asked: boolean;
  readonly #candidates = new Set<string>();
  /** libp2p's listener for each relay that was ever used; it has addresses while the reservation holds. */
  readonly #listeners = new Map<string, Listener>();
  /** Relays that refused lately. */
  readonly #refused = new Set<string>();
  readonly #lost = new Map<string, PeerId>();
  /** How to cancel each timer. */
  readonly #timers = new Set<() => void>();
  #taking = false;
  #stopping = new AbortController();
  #log: Logger = silentLogger;

  constructor(components: RelayComponents, config: NodeConfig, reach: () => Reach) {
    super();
    this.#components = components;
    this.#config = config;
    this.#reach = reach;
    const { asked, addresses } = relaysOf(config.listen);
    this.#asked = asked;
    this.#allowed = new Set([...config.bootstrap, ...addresses].map(peerOfAddress));
  }

  set log(log: Logger) {
    this.#log = log;
  }

  /** Addresses of this node through each relay that it has a place at now. */
  addresses(): string[] {
    return [...this.#listeners.values()].flatMap((listener) => listener.getAddrs().map(String));
  }

  start(): void {
    this.#stopping = new AbortController();
    this.#components.events.addEventListener("peer:identify", this.#onIdentify);
    this.#components.events.addEventListener("connection:close", this.#onClose);
  }

  stop(): void {
    this.#components.events.removeEventListener("peer:identify", this.#onIdentify);
    this.#components.events.removeEventListener("connection:close", this.#onClose);
    this.#stopping.abort();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const state of [this.#candidates, this.#listeners, this.#refused, this.#lost]) state.clear();
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const peer = detail.peerId.toString();
    if (!this.#allowed.has(peer) || !detail.protocols.includes(RELAY_V2_HOP_CODEC)) return;
    this.#candidates.add(peer);
    this.#refused.delete(peer);
    this.#choose();
  };

  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => {
    if (isRelayed(detail.remoteAddr) && this.#lost.size < MOST_LOST)
      this.#lost.set(detail.remotePeer.toString(), detail.remotePeer);
    if (this.#candidates.has(detail.remotePeer.toString())) this.#choose();
  };

  /** Takes a place at one more relay, if one is needed and to be had. One at a time; the end of it comes here again. */
  #choose(): void {
    if (this.#taking || this.#stopping.signal.aborted) return;
    if ([...this.#listeners.keys()].filter((relay) => this.#holds(relay)).length >= MOST_RELAYS) return;
    for (const connection of this.#components.connectionManager.getConnections()) {
      const peer = connection.remotePeer.toString();
      if (connection.status !== "open" || isRelayed(connection.remoteAddr)) continue;
      if (!this.#candidates.has(peer) || this.#refused.has(peer) || this.#holds(peer)) continue;
      if (!needsRelay(this.#need(connection))) continue;
      void this.#take(peer, connection);
      return;
    }
  }

  #holds(relay: string): boolean {
    return (this.#listeners.get(relay)?.getAddrs().length ?? 0) > 0;
  }

  #need({ remoteAddr }: Connection): RelayNeed {
    return {
      asked: this.#asked,
      listens: this.#config.listen.length > 0,
      announces: this.#config.announce.length > 0,
      own: ownScopes(this.#components.addressManager.getAddressesWithMetadata()),
      relay: scopeOf(hostOf(remoteAddr)),
      dialledFromOutside: this.#reach().dialledFromOutside,
    };
  }

  async #take(relay: string, { remoteAddr }: Connection): Promise<void> {
    this.#taking = true;
    const known = this.#listeners.get(relay);
    const address = multiaddr(`${remoteAddr.toString().replace(/\/p2p\/.*$/, "")}/p2p/${relay}/p2p-circuit`);
    try {
      await withDeadline(this.#config.clock, "The reservation", TAKE_DEADLINE_MS, this.#stopping.signal, () =>
        known === undefined ? this.#listen(relay, address) : known.listen(address),
      );
      this.#redial();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#log.warn(`the relay ${relay} gives no place: ${messageOf(error)}`);
      this.#refused.add(relay);
      this.#later(RETRY_MS, () => {
        this.#refused.delete(relay);
        this.#choose();
      });
    } finally {
      this.#taking = false;
    }
    this.#choose();
  }

  /** Adds a listener, or finds the one that is left of a listen that failed. */
  async #listen(relay: string, address: Multiaddr): Promise<void> {
    const { transportManager } = this.#components;
    const before = new Set(transportManager.getListeners());
    const listening = transportManager.listen([address]);
    const listener = transportManager.getListeners().find((one) => !before.has(one));
    if (listener !== undefined) {
      this.#listeners.set(relay, listener);
      listener.addEventListener("listening", () => {
        if (this.#stopping.signal.aborted) return;
        this.dispatchEvent(new Event("change"));
        this.#choose();
      });
    }
    await listening;
  }

  /** Peers that went with a relay come back with it, but perhaps a little later than this one. */
  #redial(): void {
    const lost = [...this.#lost.values()];
    this.#lost.clear();
    for (const peer of lost) this.#reconnect(peer, 0);
  }

  #reconnect(peer: PeerId, attempt: number): void {
    this.#later(REDIAL_MS[attempt]!, () => {
      const signal = AbortSignal.any([
        this.#stopping.signal,
        timeout(this.#config.clock, REDIAL_DEADLINE_MS),
      ]);
      this.#components.connectionManager.openConnection(peer, { signal }).catch(() => {
        if (attempt + 1 < REDIAL_MS.length) this.#reconnect(peer, attempt + 1);
      });
    });
  }

  #later(milliseconds: number, action: () => void): void {
    if (this.#stopping.signal.aborted) return;
    const cancel = this.#config.clock.after(
      milliseconds,
      () => {
        this.#timers.delete(cancel);
        action();
      },
      { waits: false },
    );
    this.#timers.add(cancel);
  }
}
