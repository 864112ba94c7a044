/**
 * Gossip of one peer of a simulated network, as gossipsub does it here: a message goes from its author to everybody who
 * is known to listen, is judged before it is passed on, and comes to each handler once. What a peer listens to it says on
 * a stream of its own; until one's own stream to it is open, it is told nothing, though it was heard. A message that is
 * lost on all its ways is lost: for what is not in a mesh there are no later offers (IHAVE) here.
 */
import type { Random } from "../../random.ts";
import { checkGossipSize, createInbox, type Inbox } from "../../net/inbox.ts";
import type { GossipHandler } from "../../net/types.ts";
import type { Links } from "./links.ts";
import type { Connection, Node } from "./node.ts";

/** A signed message: nobody can say it in the name of another, but whoever heard it can say it again. */
export interface Message {
  readonly id: number;
  /** Its author. */
  readonly from: string;
  readonly topic: string;
  readonly data: Uint8Array;
}

/** Time until a stream is open, in times of the latency: its protocol is agreed on first. */
const STREAM_LATENCIES = 3;
/** Signature, key, number and topic. */
const ENVELOPE_BYTES = 280;
const MESH_DEGREE = 6;
/** Ids of messages are remembered that long, so that each is taken once. */
const SEEN_MS = 120_000;
/** As in `src/net/gossip.ts`: the penalty grows with the square of the rejected messages, which fade. */
const REJECTION_WEIGHT = 20;
const REJECTION_DECAY = 0.992;
const GRAYLIST = -80;
const PUBLISH_THRESHOLD = -50;
const STRANGER_SCORE = -1e6;

interface Line {
  /** Whether one's own stream is open. */
  speaks: boolean;
  /** What the other listens to. */
  readonly topics: Set<string>;
}

export class Gossip {
  readonly #node: Node;
  readonly #links: Links;
  readonly #random: Random;
  readonly #nextId: () => number;
  readonly #inbox: Inbox;
  readonly #topics = new Set<string>();
  readonly #lines = new Map<Connection, Line>();
  /** When each message was seen, the oldest first. */
  readonly #seen = new Map<number, number>();
  readonly #rejections = new Map<string, { count: number; at: number }>();
  readonly #mesh = new Map<string, Set<string>>();
  readonly #listeners = new Set<(message: Message, forwarder: string) => void>();
  readonly #gossipOf: (node: Node) => Gossip;

  constructor(
    node: Node,
    links: Links,
    random: Random,
    nextId: () => number,
    gossipOf: (node: Node) => Gossip,
  ) {
    this.#node = node;
    this.#links = links;
    this.#random = random;
    this.#nextId = nextId;
    this.#gossipOf = gossipOf;
    const judge = {
      penalty: (peer: string) => node.judge.penalty(peer),
      blocked: (peer: string) => node.judge.blocked(peer),
    };
    this.#inbox = createInbox(node.log, judge, node.options.admission);
    node.onConnection((connection, event) => {
      if (event === "close") this.#lines.delete(connection);
      else this.#connected(connection);
    });
  }

  subscribe<T extends object>(topic: string, handler: GossipHandler<T>): void {
    this.#inbox.add(topic, handler);
    this.#topics.add(topic);
    for (const connection of this.#lines.keys()) this.#tell(connection, [topic], true);
  }

  unsubscribe(topic: string): void {
    this.#inbox.remove(topic);
    this.#topics.delete(topic);
    for (const connection of this.#lines.keys()) this.#tell(connection, [topic], false);
  }

  subscribers(topic: string): string[] {
    const peers = [...this.#lines].filter(([, line]) => line.topics.has(topic));
    return [...new Set(peers.map(([connection]) => this.#node.other(connection).peer))];
  }

  /** To whom this peer's own messages go. */
  audience(topic: string): string[] {
    return this.#heardBy(topic, PUBLISH_THRESHOLD);
  }

  /** Throws NetworkError above the size cap. */
  async publish(topic: string, data: Uint8Array): Promise<string[]> {
    checkGossipSize(data);
    return this.say({ id: this.#nextId(), from: this.#node.peer, topic, data });
  }

  /** Sends a message, of this peer or of another, to all or to some; returns to whom it went. Nothing is checked. */
  say(message: Message, to?: readonly string[]): string[] {
    this.#see(message.id);
    const peers = this.audience(message.topic);
    const chosen = to === undefined ? peers : peers.filter((peer) => to.includes(peer));
    for (const peer of chosen) this.#send(peer, message);
    return chosen;
  }

  /** Hears every message that comes, before it is judged. */
  onMessage(listener: (message: Message, forwarder: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  score(peer: string): number {
    const { admission } = this.#node.options;
    if (admission?.admits(peer, "gossip of") === false) return STRANGER_SCORE;
    return 0 - REJECTION_WEIGHT * this.#rejected(peer) ** 2 - this.#node.judge.penalty(peer);
  }

  #connected(connection: Connection): void {
    this.#lines.set(connection, { speaks: false, topics: new Set() });
    const other = this.#node.other(connection);
    this.#node.after(STREAM_LATENCIES * this.#links.latency(this.#node, other), () => {
      const line = this.#lines.get(connection);
      if (line === undefined) return;
      line.speaks = true;
      this.#tell(connection, [...this.#topics], true);
    });
  }

  /** Says what this peer listens to, or does no longer. */
  #tell(connection: Connection, topics: readonly string[], listens: boolean): void {
    if (this.#lines.get(connection)?.speaks !== true || topics.length === 0) return;
    const other = this.#node.other(connection);
    this.#links.send(this.#node, other, {
      bytes: topics.join().length,
      sort: "control",
      wanted: () => other.connections.has(connection),
      arrive: () => {
        const known = this.#gossipOf(other).#lines.get(connection)?.topics;
        for (const topic of topics) known?.[listens ? "add" : "delete"](topic);
      },
    });
  }

  /** Peers that listen, to which a stream is open, and whose score is not below. */
  #heardBy(topic: string, least: number): string[] {
    const peers = new Set<string>();
    for (const [connection, line] of this.#lines) {
      const { peer } = this.#node.other(connection);
      if (line.speaks && line.topics.has(topic) && this.score(peer) >= least) peers.add(peer);
    }
    return [...peers];
  }

  /** Whom what others say is passed on to: all who listen, or some of very many. */
  #meshOf(topic: string): Set<string> {
    const audience = this.#heardBy(topic, 0);
    const mesh = new Set([...(this.#mesh.get(topic) ?? [])].filter((peer) => audience.includes(peer)));
    const others = this.#random.shuffle(audience.filter((peer) => !mesh.has(peer)));
    for (const peer of others) if (mesh.size < MESH_DEGREE) mesh.add(peer);
    this.#mesh.set(topic, mesh);
    return mesh;
  }

  #send(peer: string, message: Message): void {
    const [connection] =
      [...this.#lines].find(([each, { speaks }]) => speaks && this.#node.other(each).peer === peer) ?? [];
    if (connection === undefined) return;
    const other = this.#node.other(connection);
    this.#links.send(this.#node, other, {
      bytes: ENVELOPE_BYTES + message.data.byteLength,
      sort: "message",
      wanted: () => other.connections.has(connection),
      arrive: () => void this.#gossipOf(other).#take(message, this.#node.peer),
    });
  }

  async #take(message: Message, forwarder: string): Promise<void> {
    for (const listener of this.#listeners) listener(message, forwarder);
    if (!this.#topics.has(message.topic) || this.score(forwarder) < GRAYLIST) return;
    if (!this.#see(message.id) || message.from === this.#node.peer) return;
    const verdict = await this.#inbox.validate(message, message.from, message.topic, message.data);
    if (this.#node.dead) return;
    if (verdict === "reject")
      this.#rejections.set(forwarder, { count: this.#rejected(forwarder) + 1, at: this.#node.clock.now() });
    if (verdict !== "accept") return;
    this.#inbox.deliver(message);
    for (const peer of this.#meshOf(message.topic))
      if (peer !== forwarder && peer !== message.from) this.#send(peer, message);
  }

  /** False when the message was seen before. */
  #see(id: number): boolean {
    const now = this.#node.clock.now();
    for (const [old, at] of this.#seen) {
      if (now - at < SEEN_MS) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, now);
    return true;
  }

  #rejected(peer: string): number {
    const known = this.#rejections.get(peer);
    if (known === undefined) return 0;
    return known.count * REJECTION_DECAY ** ((this.#node.clock.now() - known.at) / 1000);
  }
}
