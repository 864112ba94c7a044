/**
 * Who wants the run to fail: it hears what a peer hears, and chooses its moves (`moves.ts`) from that, as one identity or
 * as many, several in a row, and goes on while the core has to finish.
 */
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { Clock } from "../../clock.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import type { Random } from "../../random.ts";
import { MOVES, type Said } from "./moves.ts";
import type { MemoryNetwork, MemoryPeer } from "./network.ts";
import type { WorldRun } from "./run.ts";

/** Messages that it remembers. */
const MAX_HEARD = 64;
/** Time between two rows of moves, in ms. */
const PAUSE_MS: readonly [least: number, most: number] = [3000, 30_000];
const MOST_IN_A_ROW = 3;

export interface IntruderInit {
  /** Of its identities, the first of which listens. */
  privateKeys: readonly PrivateKey[];
  clock: Clock;
  random: Random;
  network: MemoryNetwork;
  bootstrap: readonly string[];
  world: WorldRun;
  /** Hears the name of each move. */
  say(move: string): void;
}

export class Intruder {
  readonly peers: readonly string[];
  /** CIDs of false versions that it announced. */
  readonly lies = new Set<string>();
  readonly #init: IntruderInit;
  readonly #identities: readonly MemoryPeer[];
  readonly #heard: Said[] = [];
  readonly #topics: string[];
  #attacks = 0;

  constructor(init: IntruderInit) {
    this.#init = init;
    const { privateKeys, bootstrap, world } = init;
    this.peers = privateKeys.map((key) => peerIdFromPrivateKey(key).toString());
    this.#identities = privateKeys.map((privateKey) => init.network.join({ privateKey, bootstrap }));
    const base = `/pathweave/${PROTOCOL}/${world.run.toString()}`;
    this.#topics = [base, ...world.topology.moduleNames.map((name) => `${base}/${name}`)];
  }

  /** Messages that it sent. */
  get attacks(): number {
    return this.#attacks;
  }

  /** Begins, and never ends. */
  play(): void {
    const [ear] = this.#identities as [MemoryPeer];
    for (const topic of this.#topics)
      ear.network.subscribe(topic, { validate: () => ({}), deliver: () => {} });
    ear.onMessage(({ topic, data }) => {
      this.#heard.push({ topic, data });
      if (this.#heard.length > MAX_HEARD) this.#heard.shift();
    });
    this.#next();
  }

  #next(): void {
    const { clock, random } = this.#init;
    const [least, most] = PAUSE_MS;
    clock.after(least + (most - least) * random.uniform(), () => {
      for (let moves = 1 + random.integer(MOST_IN_A_ROW); moves > 0; moves--) this.#move();
      this.#next();
    });
  }

  #move(): void {
    const { random, world, say } = this.#init;
    const names = Object.keys(MOVES);
    const name = names[random.integer(names.length)]!;
    const identity = this.#identities[random.integer(this.#identities.length)]!;
    const message = MOVES[name]!({ heard: this.#heard, topics: this.#topics, random, world });
    if (message === undefined || identity.say(message.topic, message.data).length === 0) return;
    this.#attacks++;
    if (message.lie !== undefined) this.lies.add(message.lie);
    say(name);
  }
}
