/**
 * One peer's connections in a simulated network: who it dials and why, what it notices of the other end, and when. As
 * libp2p does it here: one dial of a known address or of a peer that the DHT knows; bootstraps until they are reached;
 * peers of peers soon after a connection; five tries to get back who was lost.
 */
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { PrivateKey } from "@libp2p/interface";
import type { Clock } from "../../clock.ts";
import { NetworkError } from "../../errors.ts";
import { type Logger, silentLogger } from "../../log.ts";
import { peerOfAddress } from "../../net/addresses.ts";
import type { Admission } from "../../net/admission.ts";
import { withDeadline } from "../../net/deadline.ts";
import type { PeerJudge, RecordHandler } from "../../net/types.ts";
import type { Random } from "../../random.ts";
import type { Links, Machine } from "./links.ts";

export interface JoinOptions {
  privateKey: PrivateKey;
  /** The peer's own clock: its retries, deadlines and timeouts are by this one. @default the network's */
  clock?: Clock;
  /** Addresses that are dialled until they are connected. */
  bootstrap?: readonly string[];
  /** Whether others can dial it. @default true */
  listens?: boolean;
  /** Who may take part; everybody when absent. */
  admission?: Admission;
  /** Only peers with the same one can connect. */
  swarmKey?: string;
  /** Namespaces of DHT records that it validates. */
  records?: Record<string, RecordHandler>;
  /** The version of the protocol that it says it speaks. @default ours */
  protocol?: number;
  log?: Logger;
}

/** What the nodes of one network share. */
export interface Ground {
  clock: Clock;
  random: Random;
  links: Links;
  /** Every node that was started and not killed, in the order in which they joined. */
  nodes: readonly Node[];
}

export interface Connection {
  readonly ends: readonly [dialler: Node, listener: Node];
  /** Ends at which it is open. */
  readonly open: Set<Node>;
}

export type PeerEvent = (peer: string, event: "connect" | "disconnect") => void;
export type ConnectionEvent = (connection: Connection, event: "open" | "close") => void;

const DIAL_DEADLINE_MS = 30_000;
/** How long one address is tried. */
const ADDRESS_DIAL_MS = 6_000;
const BOOTSTRAP_MS: readonly [first: number, last: number] = [500, 30_000];
/** The DHT looks for peers near itself after a first connection, and seldom again. */
const WALK_MS: readonly [first: number, again: number] = [1_000, 300_000];
const MOST_WALKED = 20;
const RECONNECTS_MS = [1_000, 2_000, 4_000, 8_000, 16_000];
/** A ping every ten seconds has a minute to be answered. */
const PING_MS = 10_000;
const PING_TIMEOUT_MS = 60_000;
const CONTROL_BYTES = 100;

export class Node implements Machine {
  readonly name: string;
  readonly peer: string;
  readonly address: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly options: JoinOptions;
  readonly connections = new Set<Connection>();
  /** Addresses of peers, as far as it was told. */
  readonly known = new Map<string, Set<string>>();
  judge: PeerJudge = { penalty: () => 0, blocked: () => false };
  paused = false;
  dead = false;
  readonly #ground: Ground;
  /** Dials under way, by address. */
  readonly #dials = new Map<string, Promise<Connection | string>>();
  readonly #peerListeners = new Set<PeerEvent>();
  readonly #connectionListeners = new Set<ConnectionEvent>();
  /** What came due while it was paused. */
  readonly #due: (() => void)[] = [];
  /** How to stop waiting for an answer to a ping, by connection. */
  readonly #unanswered = new Map<Connection, () => void>();
  #bootstrapDelay = BOOTSTRAP_MS[0];
  #cancelBootstrap = (): void => {};
  #cancelWalk = (): void => {};

  constructor(ground: Ground, options: JoinOptions, name: string, host: string) {
    this.#ground = ground;
    this.options = options;
    this.name = name;
    this.peer = peerIdFromPrivateKey(options.privateKey).toString();
    this.address = `/ip4/${host}/tcp/4001/p2p/${this.peer}`;
    this.clock = options.clock ?? ground.clock;
    this.log = options.log ?? silentLogger;
  }

  start(): void {
    this.#bootstrap(true);
  }

  // ---------------------------------------------------------------- its process

  /** Calls back after a time, unless the process has ended; late when it is stopped then. */
  after(milliseconds: number, callback: () => void): () => void {
    return this.clock.after(
      milliseconds,
      () => {
        if (this.dead) return;
        if (this.paused) this.#due.push(callback);
        else callback();
      },
      { waits: false },
    );
  }

  /** What a process that has ended awaits never comes. */
  living<T>(task: () => Promise<T>): Promise<T> {
    if (this.dead) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      task().then(
        (value) => void (this.dead || resolve(value)),
        (error: unknown) =>
          void (this.dead || reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  resume(): void {
    this.paused = false;
    for (const callback of this.#due.splice(0)) callback();
  }

  // ---------------------------------------------------------------- connections

  connectionWith(peer: string): Connection | undefined {
    for (const connection of this.connections) if (this.other(connection).peer === peer) return connection;
    return undefined;
  }

  other({ ends: [dialler, listener] }: Connection): Node {
    return dialler === this ? listener : dialler;
  }

  onPeer(listener: PeerEvent): () => void {
    this.#peerListeners.add(listener);
    return () => void this.#peerListeners.delete(listener);
  }

  /** Calls back once a connection is closed. */
  onLost(connection: Connection, lost: () => void): () => void {
    const listener: ConnectionEvent = (closed, event) => {
      if (event === "close" && closed === connection) lost();
    };
    this.#connectionListeners.add(listener);
    return () => void this.#connectionListeners.delete(listener);
  }

  onConnection(listener: ConnectionEvent): void {
    this.#connectionListeners.add(listener);
  }

  learn(peer: string, addresses: readonly string[]): void {
    const known = this.known.get(peer) ?? new Set();
    this.known.set(peer, known);
    for (const address of addresses) known.add(address);
  }

  /** Resolves to a connection with a peer or an address. Throws NetworkError. */
  dial(target: string, signal?: AbortSignal): Promise<Connection> {
    return this.living(() =>
      withDeadline(this.clock, `Dialling ${target}`, DIAL_DEADLINE_MS, signal, () => this.#dial(target)),
    );
  }

  async #dial(target: string): Promise<Connection> {
    const peer = target.startsWith("/") ? peerOfAddress(target) : target;
    if (peer === this.peer) throw new Error("it is this peer itself");
    const existing = peer === undefined ? undefined : this.connectionWith(peer);
    if (existing !== undefined) return existing;
    const addresses = target.startsWith("/") ? [target] : [...(this.known.get(target) ?? [])];
    if (addresses.length === 0)
      addresses.push(
        ...this.reachable()
          .filter((node) => node.peer === peer && node.listens)
          .map(({ address }) => address),
      );
    if (addresses.length === 0) throw new Error("no address of it is known");
    const failures: string[] = [];
    for (const address of addresses) {
      const outcome = await this.#dialAddress(address);
      if (typeof outcome !== "string") return outcome;
      failures.push(addresses.length === 1 ? outcome : `${address.replace(/\/p2p\/[^/]+$/, "")} ${outcome}`);
    }
    throw new NetworkError(`Dialling ${target} failed: ${failures.join("; ")}.`);
  }

  get listens(): boolean {
    return this.options.listens !== false;
  }

  /** A connection, or in words why there is none. Whoever dials the same meanwhile waits with the first. */
  #dialAddress(address: string): Promise<Connection | string> {
    const place = address.replace(/\/p2p\/[^/]+$/, "");
    const known = this.#dials.get(address);
    if (known !== undefined) return known;
    const node = this.#ground.nodes.find((each) => each.listens && each.address.startsWith(`${place}/`));
    const { promise, resolve } = Promise.withResolvers<Connection | string>();
    const cancel = this.after(ADDRESS_DIAL_MS, () => resolve(`timed out after ${ADDRESS_DIAL_MS / 1000} s`));
    const dialling = promise.finally(() => {
      cancel();
      this.#dials.delete(address);
    });
    this.#dials.set(address, dialling);
    if (node === this) resolve("it is this peer itself");
    else if (node === undefined)
      this.after(this.#ground.links.latency(this, this), () => resolve("connection refused"));
    else this.#shakeHands(node, address, dialling, resolve);
    return dialling;
  }

  #shakeHands(
    node: Node,
    address: string,
    dialling: Promise<Connection | string>,
    resolve: (outcome: Connection | string) => void,
  ): void {
    const expected = peerOfAddress(address);
    const answer = (outcome: Connection | string): void =>
      this.#control(node, this, () => {
        if (typeof outcome !== "string" && !this.connections.has(outcome)) {
          // The dial was given up, or the other end has closed it again.
          if (this.#dials.get(address) !== dialling)
            return this.#control(this, node, () => node.close(outcome));
          if (!node.connections.has(outcome)) return resolve(HUNG_UP);
          this.#opened(outcome);
        }
        resolve(outcome);
      });
    this.#control(this, node, () => {
      const existing = [...node.connections].find((each) => each.open.has(this) && node.other(each) === this);
      if (expected !== undefined && expected !== node.peer) answer("is another peer than the invite says");
      else if (node.options.swarmKey !== this.options.swarmKey) answer("no handshake (a private swarm?)");
      else if (this.refuses(node) || node.refuses(this)) answer(HUNG_UP);
      else if (existing !== undefined) answer(existing);
      else {
        const connection: Connection = { ends: [this, node], open: new Set() };
        node.#opened(connection);
        answer(connection);
      }
    });
  }

  /** Whether it lets nobody of that name in. */
  refuses({ peer }: Node): boolean {
    return this.judge.blocked(peer) || this.options.admission?.connects(peer, "a connection from") === false;
  }

  #control(from: Node, to: Node, arrive: () => void): void {
    this.#ground.links.send(from, to, { bytes: CONTROL_BYTES, sort: "control", wanted: () => true, arrive });
  }

  #opened(connection: Connection): void {
    const other = this.other(connection);
    const isFirst = this.connectionWith(other.peer) === undefined;
    this.connections.add(connection);
    connection.open.add(this);
    if (other.listens) this.learn(other.peer, [other.address]);
    this.review();
    for (const listener of this.#connectionListeners) listener(connection, "open");
    if (isFirst) for (const listener of this.#peerListeners) listener(other.peer, "connect");
    this.#walkIn(WALK_MS[0]);
  }

  /** Closes a connection at this end, and tells the other. */
  close(connection: Connection): void {
    if (!this.connections.delete(connection)) return;
    connection.open.delete(this);
    this.#unanswered.get(connection)?.();
    this.#unanswered.delete(connection);
    const other = this.other(connection);
    this.#control(this, other, () => other.close(connection));
    for (const listener of this.#connectionListeners) listener(connection, "close");
    if (this.connectionWith(other.peer) !== undefined) return;
    for (const listener of this.#peerListeners) listener(other.peer, "disconnect");
    if (this.connections.size === 0) this.#bootstrapDelay = BOOTSTRAP_MS[0];
    this.#bootstrap(this.connections.size === 0);
    this.#reconnect(other.peer, 0);
  }

  disconnect(peer: string): void {
    for (const connection of this.connections)
      if (this.other(connection).peer === peer) this.close(connection);
  }

  /** Gives up connections over which nothing comes any more, after a while. */
  review(): void {
    for (const connection of this.connections) {
      const other = this.other(connection);
      const silent = other.paused || other.dead || this.#ground.links.isCut(this, other);
      const cancel = this.#unanswered.get(connection);
      if (silent && cancel === undefined) {
        const wait = this.#ground.random.uniform() * PING_MS + PING_TIMEOUT_MS;
        this.#unanswered.set(
          connection,
          this.after(wait, () => this.close(connection)),
        );
      } else if (!silent && cancel !== undefined) {
        cancel();
        this.#unanswered.delete(connection);
      }
    }
  }

  /** Its process ends, and the system closes its connections; when the machine `vanishes`, nobody is told. */
  end(vanishes: boolean): void {
    this.paused = false;
    for (const connection of this.connections) {
      const other = this.other(connection);
      connection.open.delete(this);
      if (!vanishes) this.#control(this, other, () => other.close(connection));
    }
    this.connections.clear();
    this.dead = true;
    for (const cancel of this.#unanswered.values()) cancel();
  }

  // ---------------------------------------------------------------- whom it looks for

  /** Nodes that it can talk to, itself not among them: its peers, their peers, and so on, as a query of the DHT goes. */
  reachable(): Node[] {
    const found = new Set<Node>([this]);
    for (const node of found)
      for (const connection of node.connections) {
        const next = node.other(connection);
        const answers = connection.open.size === 2 && !next.dead && !next.paused;
        const isNear = this.connectionWith(next.peer) !== undefined || next.listens;
        if (answers && isNear && !this.#ground.links.isCut(this, next)) found.add(next);
      }
    found.delete(this);
    return [...found];
  }

  #walkIn(milliseconds: number): void {
    this.#cancelWalk();
    this.#cancelWalk = this.after(milliseconds, () => {
      const strangers = this.reachable().filter(
        (node) => node.listens && this.connectionWith(node.peer) === undefined,
      );
      for (const { address } of strangers.slice(0, MOST_WALKED)) this.#try(address);
      if (this.connections.size > 0) this.#walkIn(WALK_MS[1]);
    });
  }

  #reconnect(peer: string, attempt: number): void {
    const wait = RECONNECTS_MS[attempt];
    const [address] = this.known.get(peer) ?? [];
    if (wait === undefined || address === undefined) return;
    this.after(wait, () => {
      if (this.connectionWith(peer) !== undefined) return;
      void this.dial(address).catch(() => this.#reconnect(peer, attempt + 1));
    });
  }

  /** Dials bootstraps that are not connected, now or later, and ever more seldom while it is in vain. */
  #bootstrap(now: boolean): void {
    this.#cancelBootstrap();
    const missing = (this.options.bootstrap ?? []).filter((address) => {
      const peer = peerOfAddress(address);
      return peer === undefined || (peer !== this.peer && this.connectionWith(peer) === undefined);
    });
    if (missing.length === 0) {
      this.#bootstrapDelay = BOOTSTRAP_MS[0];
      return;
    }
    if (now) for (const address of missing) this.#try(address);
    this.#cancelBootstrap = this.after(this.#bootstrapDelay, () => {
      this.#bootstrapDelay = Math.min(2 * this.#bootstrapDelay, BOOTSTRAP_MS[1]);
      this.#bootstrap(true);
    });
  }

  #try(address: string): void {
    this.dial(address).catch(() => {
      // It is tried again, or somebody else is.
    });
  }
}

const HUNG_UP = "connected, then closed by the peer";
