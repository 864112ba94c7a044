/**
 * A network in memory, under a virtual clock: what libp2p is to a swarm, with its connections, gossip, requests, DHT and
 * block exchange, and with the faults of real links. Nothing happens but by timers of the clocks and by promises, and
 * all chance is from one stream, so one seed is one execution.
 *
 * @example
 * const net = new MemoryNetwork({ clock, random });
 * const a = net.join({ privateKey });
 * const b = net.join({ privateKey: other, bootstrap: a.network.addresses() });
 * const store = createStore({ ...disk, source: a.source(disk.blocks) });
 * net.part([[a.network.peerId], [b.network.peerId]]);
 */
import type { Clock } from "../../clock.ts";
import type { Network, RecordHandler } from "../../net/types.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import type { Random } from "../../random.ts";
import type { BlockSource } from "../../store/fetch-job.ts";
import { BlockExchange, type Blocks } from "./blocks.ts";
import { Dht } from "./dht.ts";
import { Gossip, type Message } from "./gossip.ts";
import { GOOD_LINK, type LinkConditions, Links } from "./links.ts";
import { type JoinOptions, Node } from "./node.ts";
import { Requests } from "./requests.ts";

export type { Blocks, JoinOptions, LinkConditions, Message };

export interface MemoryNetworkInit {
  clock: Clock;
  random: Random;
  /** Of every link, until it is shaped. */
  links?: Partial<LinkConditions>;
}

/** A process that has joined, and what a stranger could do with one. */
export interface MemoryPeer {
  /** Names this process: two with one identity have two names. */
  readonly name: string;
  readonly network: Network;
  /** Serves `blocks` to others, and gets theirs. */
  source(blocks: Blocks): BlockSource;
  /** Says any bytes on a topic, past our own caps, to all who listen or only to some; returns to whom it went. */
  say(topic: string, data: Uint8Array, to?: readonly string[]): string[];
  /** To whom a message on a topic would go now: those that listen, once a stream to them is open. */
  audience(topic: string): string[];
  /** Says again what somebody said. */
  repeat(message: Message, to?: readonly string[]): string[];
  /** Hears every message that comes, of whatever topic it is and before it is judged. */
  onMessage(listener: (message: Message, forwarder: string) => void): () => void;
  /** How its gossip is thought of by this one; below −80 it is not listened to. */
  score(peer: string): number;
}

interface Services {
  gossip: Gossip;
  requests: Requests;
  dht: Dht;
  exchange: BlockExchange;
}

export class MemoryNetwork {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #links: Links;
  readonly #nodes: Node[] = [];
  readonly #services = new WeakMap<Node, Services>();
  readonly #hosts = new Map<string, string[]>();
  #joined = 0;
  #machines = 0;
  #messages = 0;

  constructor({ clock, random, links = {} }: MemoryNetworkInit) {
    this.#clock = clock;
    this.#random = random;
    this.#links = new Links(clock, random, { ...GOOD_LINK, ...links });
  }

  /** Starts a node. One identity may join again after its end, at its address, or meanwhile, at another. */
  join(options: JoinOptions): MemoryPeer {
    const ground = {
      clock: this.#clock,
      random: this.#random,
      links: this.#links,
      nodes: this.#nodes,
    };
    const identity = Buffer.from(options.privateKey.publicKey.raw).toString("hex");
    const node = new Node(ground, inProtocol(options), `p${this.#joined++}`, this.#hostOf(identity));
    const of = (other: Node): Services => this.#services.get(other)!;
    const dht = new Dht(node, this.#links, (other) => of(other).dht);
    const services: Services = {
      gossip: new Gossip(
        node,
        this.#links,
        this.#random,
        () => this.#messages++,
        (other) => of(other).gossip,
      ),
      requests: new Requests(node, this.#links, (other) => of(other).requests),
      dht,
      exchange: new BlockExchange(node, this.#links, dht, (other) => of(other).exchange),
    };
    this.#services.set(node, services);
    this.#nodes.push(node);
    node.start();
    return this.#peer(node, services);
  }

  /** Changes the conditions of all links, of all links of a peer, or of the link between two. */
  shape(conditions: Partial<LinkConditions>, a?: string, b?: string): void {
    if (a === undefined) this.#links.shape(conditions);
    for (const one of a === undefined ? [] : this.#find(a))
      if (b === undefined) this.#links.shape(conditions, one.name);
      else for (const other of this.#find(b)) this.#links.shape(conditions, one.name, other.name);
  }

  /** Takes back what was shaped of single peers and links. */
  unshape(): void {
    this.#links.unshape();
  }

  /** From now on only peers of one group reach each other. What is under way waits, and connections last until they are given up. */
  part(groups: readonly (readonly string[])[]): void {
    this.#links.part(groups.map((group) => group.flatMap((who) => this.#find(who).map(({ name }) => name))));
    this.#review();
  }

  heal(): void {
    this.#links.heal();
    this.#review();
    this.#links.resume();
  }

  /**
   * Stops a peer as SIGSTOP does, or as sleep does its machine: its timers and handlers stand still, what is sent to it
   * waits, and its connections stay until the others give them up.
   */
  pause(who: string): void {
    for (const node of this.#find(who)) node.paused = true;
    this.#review();
  }

  resume(who: string): void {
    for (const node of this.#find(who)) node.resume();
    this.#review();
    this.#links.resume();
  }

  /** Ends a process, as SIGKILL does: the others see its connections close. When its machine `vanishes`, they see nothing. */
  kill(who: string, { vanishes = false } = {}): void {
    for (const node of this.#find(who)) {
      node.end(vanishes);
      this.#nodes.splice(this.#nodes.indexOf(node), 1);
    }
    this.#review();
  }

  /** By peer id, which several may have, or by the name of the process. */
  #find(who: string): Node[] {
    return this.#nodes.filter(({ peer, name }) => peer === who || name === who);
  }

  #review(): void {
    for (const node of this.#nodes) node.review();
  }

  #hostOf(identity: string): string {
    const hosts = this.#hosts.get(identity) ?? [];
    this.#hosts.set(identity, hosts);
    const isFree = (host: string): boolean =>
      !this.#nodes.some(({ address }) => address.startsWith(`/ip4/${host}/`));
    const known = hosts.find(isFree);
    if (known !== undefined) return known;
    const machine = ++this.#machines;
    const host = `10.0.${machine >> 8}.${machine & 255}`;
    hosts.push(host);
    return host;
  }

  #peer(node: Node, { gossip, requests, dht, exchange }: Services): MemoryPeer {
    const { protocol = PROTOCOL } = node.options;
    const named = translate(protocol);
    const network: Network = {
      peerId: node.peer,
      privateKey: node.options.privateKey,
      addresses: () => (node.listens ? [node.address] : []),
      connections: () =>
        [...node.connections].map((connection) => {
          const other = node.other(connection);
          const isDialler = connection.ends[0] === node;
          return { peer: other.peer, address: other.address, direction: isDialler ? "outbound" : "inbound" };
        }),
      addressesOf: async (peer) => [...(node.known.get(peer) ?? [])],
      dial: async (target, signal) => void (await node.dial(target, signal)),
      subscribe: (topic, handler) => gossip.subscribe(named(topic), handler),
      unsubscribe: (topic) => gossip.unsubscribe(named(topic)),
      publish: (topic, data) => node.living(() => gossip.publish(named(topic), data)),
      subscribers: (topic) => gossip.subscribers(named(topic)),
      provide: (cid, signal) => dht.provide(cid, signal),
      findProviders: (cid, signal) => dht.findProviders(cid, signal),
      putRecord: (key, value, signal) => dht.putRecord(named(key), value, signal),
      getRecord: (key, signal) => dht.getRecord(named(key), signal),
      handle: async (name, handler) => requests.handle(named(name), handler),
      request: (peer, name, data, signal) => requests.request(peer, named(name), data, signal),
      judgeBy(judge) {
        node.judge = judge;
      },
      disconnect: (peer) => node.disconnect(peer),
      otherProtocols: () => {
        const others = new Map(
          [...node.connections].map((each) => [node.other(each).peer, node.other(each)]),
        );
        return [...others]
          .map(([peer, { options }]) => ({ peer, protocol: options.protocol ?? PROTOCOL }))
          .filter((other) => other.protocol !== protocol);
      },
      onPeer: (listener) => node.onPeer(listener),
    };
    return {
      name: node.name,
      network,
      source: (blocks) => exchange.source(blocks),
      say: (topic, data, to) =>
        gossip.say({ id: this.#messages++, from: node.peer, topic: named(topic), data }, to),
      audience: (topic) => gossip.audience(named(topic)),
      repeat: (message, to) => gossip.say(message, to),
      onMessage: (listener) => gossip.onMessage(listener),
      score: (peer) => gossip.score(peer),
    };
  }
}

/** What a peer of another version of the protocol calls a topic, a protocol or a record that is called `name` in ours. */
function translate(protocol: number, from: number = PROTOCOL): (name: string) => string {
  if (protocol === from) return (name) => name;
  const version = new RegExp(`(?<=[/-])${from}(?=/|$)`);
  return (name) => name.replace(version, String(protocol));
}

/** The records of a peer of another version are in a namespace of their own. */
function inProtocol(options: JoinOptions): JoinOptions {
  const { protocol = PROTOCOL, records = {} } = options;
  const [named, ours] = [translate(protocol), translate(PROTOCOL, protocol)];
  const handlers = Object.entries(records).map(([namespace, handler]): [string, RecordHandler] => [
    named(namespace),
    {
      validate: (key, value) => handler.validate(ours(key), value),
      select: (key, values) => handler.select(ours(key), values),
    },
  ]);
  return { ...options, records: Object.fromEntries(handlers) };
}
