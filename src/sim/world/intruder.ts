/**
 * Who wants the run to fail: it has what a stranger has (the invite, a key, the formats), hears what a peer hears, and
 * chooses from what it heard. Its repertoire are moves; each is a name and what it sends.
 */
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { Clock } from "../../clock.ts";
import { kindOf } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import type { Random } from "../../random.ts";
import { LineageRecord } from "../../swarm/messages.ts";
import type { MemoryNetwork, MemoryPeer } from "./network.ts";
import type { WorldRun } from "./run.ts";

const MAX_HEARD = 64;

export interface IntruderInit {
  privateKey: PrivateKey;
  clock: Clock;
  random: Random;
  network: MemoryNetwork;
  bootstrap: readonly string[];
  world: WorldRun;
  say(what: string): void;
}

interface Message {
  topic: string;
  data: Uint8Array;
}

/** What an intruder may send, given what it heard; undefined when it has heard nothing of use. */
type Move = (heard: readonly Message[], init: IntruderInit, topics: readonly string[]) => Message | undefined;

function one<T>(random: Random, of: readonly T[]): T | undefined {
  return of[random.integer(Math.max(1, of.length))];
}

export const MOVES: Record<string, Move> = {
  garbage: (_, { random }, topics) => ({
    topic: one(random, topics)!,
    data: Uint8Array.from({ length: 1 + random.integer(200) }, () => random.integer(256)),
  }),
  replay: (heard, { random }) => one(random, heard),
  "replay elsewhere": (heard, { random }, topics) => {
    const message = one(random, heard);
    return message && { ...message, topic: one(random, topics)! };
  },
  "cut short": (heard, { random }) => {
    const message = one(random, heard);
    return message && { ...message, data: message.data.slice(0, random.integer(message.data.byteLength)) };
  },
  "false version": (heard, { random, world }) => {
    const records = heard.filter(({ data }) => kindOf(data) === LineageRecord.kind);
    const message = one(random, records);
    if (message === undefined) return undefined;
    const { run, block } = LineageRecord.decode(message.data);
    if (kindOf(block) !== Version.kind) return undefined;
    const version = Version.decode(block);
    const genesis = world.genesis.get(version.module)!;
    // The tensors of the beginning are everywhere, so that they can be had.
    const lie = Version.encode({ ...version, state: { ...version.state, ...genesis.state } });
    return { topic: message.topic, data: LineageRecord.encode({ run, block: lie.bytes }).bytes };
  },
};

export class Intruder {
  readonly peer: string;
  readonly #init: IntruderInit;
  readonly #self: MemoryPeer;
  readonly #heard: Message[] = [];
  readonly #topics: string[];
  #attacks = 0;

  constructor(init: IntruderInit) {
    this.#init = init;
    this.peer = peerIdFromPrivateKey(init.privateKey).toString();
    const { privateKey, bootstrap } = init;
    this.#self = init.network.join({ privateKey, bootstrap });
    const base = `/pathweave/${init.world.run.toString()}`;
    this.#topics = [base, ...init.world.topology.moduleNames.map((name) => `${base}/${name}`)];
  }

  /** Messages that it sent. */
  get attacks(): number {
    return this.#attacks;
  }

  /** Acts now and then until a time. */
  play(until: number): void {
    for (const topic of this.#topics)
      this.#self.network.subscribe(topic, { validate: () => ({}), deliver: () => {} });
    this.#self.onMessage(({ topic, data }) => {
      this.#heard.push({ topic, data });
      if (this.#heard.length > MAX_HEARD) this.#heard.shift();
    });
    this.#next(until);
  }

  #next(until: number): void {
    const { clock, random } = this.#init;
    clock.after(3000 + 12_000 * random.uniform(), () => {
      if (clock.now() >= until) return;
      this.#move();
      this.#next(until);
    });
  }

  #move(): void {
    const { random, world, say } = this.#init;
    const { verify } = world.manifest.config.swarm;
    // Where folds are not checked by everybody, a lie is believed by design.
    const names = Object.keys(MOVES).filter((name) => name !== "false version" || verify === "all");
    const name = one(random, names)!;
    const message = MOVES[name]!(this.#heard, this.#init, this.#topics);
    if (message === undefined) return;
    this.#attacks++;
    say(name);
    this.#self.say(message.topic, message.data);
  }
}
