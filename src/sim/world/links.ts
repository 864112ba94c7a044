/**
 * How frames get from one machine to another in a simulated world: when, whether, how often. A frame is what the layers
 * above send as one: a gossip message, a request, a piece of a block.
 */
import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";

export interface LinkConditions {
  /** One way, ms: between these. */
  latencyMs: readonly [number, number];
  /** Share of frames that never arrive; those that open and close connections and streams always do, as TCP sees to it. */
  loss: number;
  /** Share that arrives twice. */
  duplication: number;
  /** Share that others may overtake; all others arrive in their order. */
  reordering: number;
  /** Speed of each direction; infinite when absent. */
  bytesPerSecond: number;
}

export const GOOD_LINK: LinkConditions = {
  latencyMs: [1, 20],
  loss: 0,
  duplication: 0,
  reordering: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
};

/** One end of a link. */
export interface Machine {
  readonly name: string;
  /** Stopped, but its connections stay. */
  readonly paused: boolean;
  readonly dead: boolean;
}

export interface Frame {
  bytes: number;
  /**
   * Which faults it meets: a `message` is lost, doubled and overtaken, as between many hops; an `exchange` on a stream of
   * its own is lost and overtaken, since a stream may break; `control` always arrives, in order.
   */
  sort: "message" | "exchange" | "control";
  /** Whether it is still worth anything, when it arrives: its connection may be gone. */
  wanted(): boolean;
  arrive(): void;
}

interface Direction {
  freeAt: number;
  lastArrival: number;
}

interface Held {
  from: Machine;
  to: Machine;
  frame: Frame;
  /** Whether it has left its machine. */
  left: boolean;
}

export class Links {
  readonly #clock: Clock;
  readonly #random: Random;
  #usual: LinkConditions;
  readonly #shaped = new Map<string, Partial<LinkConditions>>();
  readonly #directions = new WeakMap<Machine, WeakMap<Machine, Direction>>();
  /** Group of each machine by name while the network is parted; who is in none hears nobody. */
  #groups: ReadonlyMap<string, number> | undefined;
  /** What waits until a link carries again. */
  #held: Held[] = [];

  constructor(clock: Clock, random: Random, usual: LinkConditions) {
    this.#clock = clock;
    this.#random = random;
    this.#usual = usual;
  }

  now(): number {
    return this.#clock.now();
  }

  /** Changes the conditions of all links, of all of one machine, or of one link. */
  shape(conditions: Partial<LinkConditions>, a?: string, b?: string): void {
    if (a === undefined) this.#usual = { ...this.#usual, ...conditions };
    else this.#shaped.set(linkKey(a, b), { ...this.#shaped.get(linkKey(a, b)), ...conditions });
  }

  /** All links are as at first again, but for what is parted. */
  unshape(): void {
    this.#shaped.clear();
  }

  conditions(a: string, b: string): LinkConditions {
    return {
      ...this.#usual,
      ...this.#shaped.get(linkKey(a)),
      ...this.#shaped.get(linkKey(b)),
      ...this.#shaped.get(linkKey(a, b)),
    };
  }

  part(groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((group, index) => group.map((name) => [name, index])));
  }

  heal(): void {
    this.#groups = undefined;
  }

  /** Whether nothing gets from one to the other, in either direction. */
  isCut(a: Machine, b: Machine): boolean {
    if (this.#groups === undefined || a === b) return false;
    const [one, other] = [this.#groups.get(a.name), this.#groups.get(b.name)];
    return one === undefined || one !== other;
  }

  /** Time of a small frame between two machines, ms. */
  latency(a: Machine, b: Machine): number {
    const [low, high] = this.conditions(a.name, b.name).latencyMs;
    return low + this.#random.uniform() * (high - low);
  }

  /** Returns when the last byte has left, on the clock. */
  send(from: Machine, to: Machine, frame: Frame): number {
    const now = this.#clock.now();
    if (from.dead) return now;
    if (from.paused) {
      this.#held.push({ from, to, frame, left: false });
      return now;
    }
    const { loss, duplication, reordering, bytesPerSecond } = this.conditions(from.name, to.name);
    const direction = this.#direction(from, to);
    const left = Math.max(now, direction.freeAt) + (frame.bytes * 1000) / bytesPerSecond;
    direction.freeAt = left;
    const chance = (share: number): boolean =>
      frame.sort !== "control" && share > 0 && this.#random.uniform() < share;
    if (chance(loss)) return left;
    const copies = frame.sort === "message" && chance(duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      // Long enough for several others to come first.
      const overtaken = chance(reordering) ? 5 * this.latency(from, to) : undefined;
      this.#travel({ from, to, frame }, left - now, overtaken);
    }
    return left;
  }

  /** Sends on what waited; what still cannot get through goes on waiting. */
  resume(): void {
    const held = this.#held;
    this.#held = [];
    for (const each of held) {
      const { from, to, frame, left } = each;
      if (!frame.wanted() || from.dead || to.dead) continue;
      if (left) this.#travel(each, 0);
      else this.send(from, to, frame);
    }
  }

  /** After the one before it in this direction, unless it is overtaken. */
  #travel({ from, to, frame }: Omit<Held, "left">, delay: number, overtaken?: number): void {
    const now = this.#clock.now();
    const direction = this.#direction(from, to);
    let at = now + delay + this.latency(from, to);
    if (overtaken === undefined) at = direction.lastArrival = Math.max(at, direction.lastArrival);
    else at += overtaken;
    this.#clock.after(at - now, () => this.#arrive({ from, to, frame, left: true }));
  }

  #arrive(held: Held): void {
    const { from, to, frame } = held;
    if (to.dead || !frame.wanted()) return;
    // TCP sends again what a cut swallowed, and the kernel keeps what a stopped process does not read.
    if (to.paused || this.isCut(from, to)) this.#held.push(held);
    else frame.arrive();
  }

  #direction(from: Machine, to: Machine): Direction {
    const others = this.#directions.get(from) ?? new WeakMap<Machine, Direction>();
    this.#directions.set(from, others);
    const direction = others.get(to) ?? { freeAt: 0, lastArrival: 0 };
    others.set(to, direction);
    return direction;
  }
}

function linkKey(a: string, b?: string): string {
  return b === undefined ? a : [a, b].toSorted().join(" ");
}
