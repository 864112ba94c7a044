/**
 * All that peers can come to know of one module: what is said, and the states that a replica reaches by hearing it.
 * Equal states are one state, so the search handles small numbers and each transition is worked out once.
 */
import assert from "node:assert/strict";
import { InvalidObjectError } from "../../src/errors.ts";
import { compareHeads } from "../../src/outer/order.ts";
import { authorship } from "../../src/outer/rules.ts";
import type { LineageInit } from "../../src/outer/types.ts";
import { labels } from "../unit/outer/history.ts";
import { isVersion, type Item, type Replica, type Rules } from "./rules.ts";

/** An invariant that does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
}

interface State {
  replica: Replica;
  /** Items in the order of one way to this state. */
  arrivals: number[];
}

export interface HistoriesInit {
  rules: Rules;
  /** What every state is compared with. */
  reference: Rules | undefined;
  lineage: LineageInit;
}

export class Histories {
  readonly #init: HistoriesInit;
  readonly #items: Item[] = [];
  readonly #itemByCid = new Map<string, number>();
  readonly #states: State[] = [];
  readonly #stateByView = new Map<string, number>();
  /** By kind, state, and item, state or length. */
  readonly #transitions = {
    hear: new Map<number, number>(),
    restart: new Map<number, number>(),
    publish: new Map<number, number>(),
    ask: new Map<number, number>(),
  };
  /** The version that a fold of a set of contributions gave. */
  readonly #outcomes = new Map<string, string>();
  readonly #settled = new Set<string>();
  /**
   * What replicas met: contributions folded later than computed, too old, of a peer's round that counts already, and
   * waiting for something.
   */
  readonly seen = { late: 0, stale: 0, repeated: 0, orphaned: 0 };

  constructor(init: HistoriesInit) {
    this.#init = init;
    // A replica that knows nothing but genesis is state 0.
    this.#intern([]);
  }

  get states(): number {
    return this.#states.length;
  }

  replica(state: number): Replica {
    return this.#states[state]!.replica;
  }

  arrivals(state: number): readonly number[] {
    return this.#states[state]!.arrivals;
  }

  item(index: number): Item {
    return this.#items[index]!;
  }

  /** The number of an item. */
  say(item: Item): number {
    const key = item.cid.toString();
    const known = this.#itemByCid.get(key);
    if (known !== undefined) return known;
    this.#items.push(item);
    this.#itemByCid.set(key, this.#items.length - 1);
    return this.#items.length - 1;
  }

  hear(state: number, item: number): number {
    const { arrivals } = this.#states[state]!;
    return this.#once("hear", state, item, () => {
      const next = this.#intern([...arrivals, item]);
      if (arrivals.includes(item))
        must(next === state, () => `${this.label(item)} changes something when it comes again`);
      must(
        compareHeads(this.replica(next).head(), this.replica(state).head()) <= 0,
        () => `${this.label(item)} makes the head worse`,
      );
      return next;
    });
  }

  /** What is left of a state after a crash that kept the first `kept` arrivals, read back in another order. */
  restart(state: number, kept: number): number {
    const { arrivals } = this.#states[state]!;
    return this.#once("restart", state, kept, () => this.#intern(arrivals.slice(0, kept).toReversed()));
  }

  /** What the owner publishes. */
  publish(state: number): number {
    return this.#once("publish", state, 0, () => {
      const replica = this.replica(state);
      const version = this.#init.rules.publish(replica);
      const fold = [version.parent, ...labels(replica.pending()).toSorted()].join();
      const outcome = version.cid.toString();
      must(
        (this.#outcomes.get(fold) ?? outcome) === outcome,
        () => "one parent and one set of contributions gave two versions",
      );
      this.#outcomes.set(fold, outcome);
      return this.say(version);
    });
  }

  /** Anti-entropy: the asker hears all that the donor finds it to lack. */
  ask(asker: number, donor: number): number {
    return this.#once("ask", asker, donor, () => {
      const lack = this.replica(donor).since(this.replica(asker).have());
      return lack.reduce((state, cid) => this.hear(state, this.#itemByCid.get(cid.toString())!), asker);
    });
  }

  /**
   * The contract, once faults end: peers that ask each other agree, and when the owner then folds what is pending,
   * every contribution that any of them knew is folded once or rejected with a reason.
   */
  checkSettled(states: readonly number[]): void {
    const key = states.toSorted((a, b) => a - b).join();
    if (this.#settled.has(key)) return;
    const known = new Set(states.flatMap((state) => labels(this.replica(state).contributions())));
    let peers = this.#agree([...states]);
    for (let turn = 0; this.replica(peers[0]!).pending().length > 0; turn++) {
      must(turn < 4, () => "folding what is pending does not end");
      const version = this.publish(peers[0]!);
      peers = this.#agree(peers.map((state) => this.hear(state, version)));
    }
    const replicas = peers.map((state) => this.replica(state));
    const folded = replicas[0]!.ancestry().flatMap(({ contributions }) => contributions.map(String));
    // What is rejected is not sent on: who knows it has the reason.
    const rejected = replicas.flatMap((replica) => labels(replica.rejected()));
    const settled = new Set([...folded, ...rejected]);
    for (const cid of known)
      must(settled.has(cid), () => `${this.#labelOf(cid)} is neither folded nor rejected`);
    this.#settled.add(key);
  }

  #agree(states: number[]): number[] {
    for (let turn = 0, before = ""; before !== states.join(); turn++) {
      must(turn < 6, () => "anti-entropy does not end");
      before = states.join();
      for (const [asker] of states.entries())
        for (const [donor] of states.entries())
          if (asker !== donor) states[asker] = this.ask(states[asker]!, states[donor]!);
    }
    const heads = new Set(states.map((state) => this.replica(state).head().cid.toString()));
    must(
      heads.size === 1,
      () =>
        `the heads are ${[...heads].map((cid) => this.#labelOf(cid)).join(" and ")} after all was exchanged`,
    );
    const pending = new Set(states.map((state) => labels(this.replica(state).pending()).toSorted().join()));
    must(pending.size === 1, () => "peers with one head have different work pending after all was exchanged");
    return states;
  }

  /** Works a transition out when it is first asked for. */
  #once(
    kind: "hear" | "restart" | "publish" | "ask",
    state: number,
    argument: number,
    compute: () => number,
  ): number {
    const key = state * 2 ** 26 + argument;
    const known = this.#transitions[kind].get(key);
    if (known !== undefined) return known;
    const value = compute();
    this.#transitions[kind].set(key, value);
    return value;
  }

  /** The state after arrivals; a new one is checked. */
  #intern(arrivals: number[]): number {
    const replica = this.#replay(this.#init.rules, arrivals);
    const view = `${[...new Set(arrivals)].toSorted((a, b) => a - b).join()} ${viewOf(replica)}`;
    const known = this.#stateByView.get(view);
    if (known !== undefined) return known;
    this.#check(replica);
    const { reference } = this.#init;
    if (reference !== undefined)
      assert.equal(
        viewOf(replica),
        viewOf(this.#replay(reference, arrivals)),
        "production is as the reference",
      );
    if (replica.contributions().length + replica.ancestry().length - 1 < arrivals.length)
      this.seen.orphaned++;
    this.#states.push({ replica, arrivals: [...new Set(arrivals)] });
    this.#stateByView.set(view, this.#states.length - 1);
    return this.#states.length - 1;
  }

  #replay(rules: Rules, arrivals: number[]): Replica {
    const replica = rules.create(this.#init.lineage);
    for (const item of arrivals) {
      try {
        replica.add(this.item(item));
      } catch (error) {
        if (error instanceof InvalidObjectError)
          throw new Violation(`${this.label(item)} is refused: ${error.message}`);
        throw error;
      }
    }
    return replica;
  }

  /** What holds in every state of every peer. */
  #check(replica: Replica): void {
    const ancestry = replica.ancestry();
    must(
      ancestry.at(-1)!.cid.equals(this.#init.lineage.genesis.cid),
      () => `the head ${this.#labelOf(replica.head().cid.toString())} does not descend from genesis`,
    );
    const contributions = new Map(replica.contributions().map((item) => [item.cid.toString(), item]));
    const folded = ancestry.flatMap((version) => version.contributions.map(String));
    for (const [index, cid] of folded.entries())
      must(folded.indexOf(cid) === index, () => `${this.#labelOf(cid)} is folded twice`);
    const authors = folded.map((cid) => authorship(contributions.get(cid)!));
    must(new Set(authors).size === authors.length, () => "a peer's round is folded twice");
    const [pending, rejected] = [labels(replica.pending()), replica.rejected()];
    for (const { reason } of rejected) {
      must(
        /generations older than the head$|already contributed this round$/.test(reason),
        () => `rejected because ${reason}`,
      );
      if (reason.startsWith("its peer")) this.seen.repeated++;
      else this.seen.stale++;
    }
    const told = [...folded, ...pending, ...labels(rejected)];
    for (const cid of contributions.keys())
      must(told.includes(cid), () => `${this.#labelOf(cid)} is neither folded nor pending nor rejected`);
    for (const version of ancestry)
      for (const cid of version.contributions)
        if (!contributions.get(cid.toString())!.base.equals(version.parent!)) this.seen.late++;
  }

  /** How a trace calls an item. */
  label(index: number): string {
    const item = this.#items[index]!;
    if (!isVersion(item)) return `contribution ${index} (${item.signer}, round ${item.round})`;
    const folds = item.contributions.map((cid) => this.#itemByCid.get(cid.toString()) ?? "?");
    const parent = item.generation === 1 ? "" : ` on ${this.#itemByCid.get(item.parent!.toString()) ?? "?"}`;
    return `version ${index} (generation ${item.generation}${parent}, folds ${folds.join(" ") || "nothing"})`;
  }

  #labelOf(cid: string): string {
    const index = this.#itemByCid.get(cid);
    return index === undefined ? "genesis" : this.label(index);
  }
}

function must(holds: boolean, what: () => string): void {
  if (!holds) throw new Violation(what());
}

function viewOf(replica: Replica): string {
  return [
    replica.head().cid.toString(),
    labels(replica.pending()).join(),
    replica
      .rejected()
      .map(({ cid, reason }) => `${cid.toString()} ${reason}`)
      .toSorted()
      .join(),
    labels(replica.contributions()).toSorted().join(),
  ].join(" | ");
}
