/**
 * A process in a simulated network: its connections, and what it notices of the other ends, and when. How it gets
 * connections is in `dialling.ts`, with whom in `seeking.ts`.
 */
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { PrivateKey } from "@libp2p/interface";
import type { Clock } from "../../clock.ts";
import { type Logger, silentLogger } from "../../log.ts";
import type { Admission } from "../../net/admission.ts";
import type { PeerJudge, RecordHandler } from "../../net/types.ts";
import type { Random } from "../../random.ts";
import { Dialler } from "./dialling.ts";
import type { Links, Machine } from "./links.ts";
import { Seeker } from "./seeking.ts";

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
  readonly #dialler: Dialler;
  readonly #seeker: Seeker;
  readonly #peerListeners = new Set<PeerEvent>();
  readonly #connectionListeners = new Set<ConnectionEvent>();
  /** What came due while it was paused. */
  readonly #due: (() => void)[] = [];
  /** How to stop waiting for an answer to a ping, by connection. */
  readonly #unanswered = new Map<Connection, () => void>();

  constructor(ground: Ground, options: JoinOptions, name: string, host: string) {
    this.#ground = ground;
    this.options = options;
    this.name = name;
    this.peer = peerIdFromPrivateKey(options.privateKey).toString();
    this.address = `/ip4/${host}/tcp/4001/p2p/${this.peer}`;
    this.clock = options.clock ?? ground.clock;
    this.log = options.log ?? silentLogger;
    this.#dialler = new Dialler(this, ground);
    this.#seeker = new Seeker(this);
  }

  start(): void {
    this.#seeker.start();
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
    return this.#dialler.dial(target, signal);
  }

  get listens(): boolean {
    return this.options.listens !== false;
  }

  /** Whether it lets nobody of that name in. */
  refuses({ peer }: Node): boolean {
    return this.judge.blocked(peer) || this.options.admission?.connects(peer, "a connection from") === false;
  }

  /** Sends what opens and closes connections. */
  control(to: Node, arrive: () => void): void {
    this.#ground.links.send(this, to, { bytes: CONTROL_BYTES, sort: "control", wanted: () => true, arrive });
  }

  /** A connection is open at this end. */
  opened(connection: Connection): void {
    const other = this.other(connection);
    const isFirst = this.connectionWith(other.peer) === undefined;
    this.connections.add(connection);
    connection.open.add(this);
    if (other.listens) this.learn(other.peer, [other.address]);
    this.review();
    for (const listener of this.#connectionListeners) listener(connection, "open");
    if (isFirst) for (const listener of this.#peerListeners) listener(other.peer, "connect");
    this.#seeker.connected();
  }

  /** Closes a connection at this end, and tells the other. */
  close(connection: Connection): void {
    if (!this.connections.delete(connection)) return;
    connection.open.delete(this);
    this.#unanswered.get(connection)?.();
    this.#unanswered.delete(connection);
    const other = this.other(connection);
    this.control(other, () => other.close(connection));
    for (const listener of this.#connectionListeners) listener(connection, "close");
    if (this.connectionWith(other.peer) !== undefined) return;
    for (const listener of this.#peerListeners) listener(other.peer, "disconnect");
    this.#seeker.lost(other.peer);
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
      if (!vanishes) this.control(other, () => other.close(connection));
    }
    this.connections.clear();
    this.dead = true;
    for (const cancel of this.#unanswered.values()) cancel();
  }

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
}
