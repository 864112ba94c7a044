/**
 * An exhaustive search: looks at every state that a small swarm can reach, breadth first, so what it finds it finds by a shortest trace.
 *
 * The network may withhold, reorder, repeat and lose: what was said once may be heard by anybody at any later time,
 * or never. So every partition is among the schedules (nothing said on one side is heard on the other for a while),
 * and every loss. Anybody may do the owner's duty at any time, so two owners at once are as well.
 *
 * Hearing something commutes with all that others do, and with all that its hearer does to other modules. So it is
 * only looked at right before its hearer acts on what it knows of that module (`focus`); the schedules left out lead
 * to the same states.
 */
import type { KnownContribution, KnownVersion } from "../../src/outer/types.ts";
import { cidOf, contribute, createInit, fold, genesisOf } from "../unit/outer/history.ts";
import { Histories, Violation } from "./histories.ts";
import { isContribution, isVersion, type Item, type Rules } from "./rules.ts";

export interface Bounds {
  peers: string[];
  /** Those who train, and those who ever do an owner's duty. */
  trainers: string[];
  owners: string[];
  modules: string[];
  /** Versions of a module up to this generation are published. */
  generations: number;
  /** Rounds that are trained in all. */
  trainings: number;
  /** Versions of one module that are published, on all branches. */
  versions: number;
  /** Crashes and disk losses. */
  faults: number;
  maxStaleness: number;
}

export interface Result {
  states: number;
  transitions: number;
  /** States of one peer's knowledge of a module. */
  replicas: number;
  /** How often the search met what it is for. */
  seen: Record<"forks" | "late" | "stale" | "repeated" | "orphaned", number>;
  /** The first invariant that does not hold after, or in a next step after, these steps. */
  violation?: { what: string; trace: string[] };
}

interface Swarm {
  /** What was said, by module; see `#said`. */
  said: number[];
  /** What is known, by module and peer. */
  known: number[][];
  faults: number;
  /** Module and peer that heard something and have to act on it. */
  focus: { module: number; peer: number } | undefined;
}

interface Step {
  label: () => string;
  swarm: Swarm;
}

export function search(rules: Rules, bounds: Bounds, reference?: Rules): Result {
  return new Search(rules, bounds, reference).run();
}

class Search {
  readonly #bounds: Bounds;
  readonly #histories: Histories[];
  /** Sets of items, sorted, by number. */
  readonly #sets: number[][] = [];
  readonly #setNumbers = new Map<string, number>();
  readonly #visited = new Set<string>();
  #transitions = 0;
  readonly #seen = { forks: 0, late: 0, stale: 0, repeated: 0, orphaned: 0 };

  constructor(rules: Rules, bounds: Bounds, reference: Rules | undefined) {
    this.#bounds = bounds;
    this.#histories = bounds.modules.map(
      (module) =>
        new Histories({
          rules,
          reference,
          lineage: createInit({ maxStaleness: bounds.maxStaleness }, module),
        }),
    );
  }

  run(): Result {
    const { modules, peers } = this.#bounds;
    const start: Swarm = {
      said: modules.map(() => this.#set([])),
      known: modules.map(() => peers.map(() => 0)),
      faults: 0,
      focus: undefined,
    };
    this.#visited.add(keyOf(start));
    let frontier: { swarm: Swarm; trace: Trace | undefined }[] = [{ swarm: start, trace: undefined }];
    while (frontier.length > 0) {
      const next: typeof frontier = [];
      for (const { swarm, trace } of frontier)
        try {
          for (const [module, states] of swarm.known.entries()) this.#histories[module]!.checkSettled(states);
          for (const step of this.#steps(swarm)) {
            this.#transitions++;
            const key = keyOf(step.swarm);
            if (this.#visited.has(key)) continue;
            this.#visited.add(key);
            next.push({ swarm: step.swarm, trace: { label: step.label, before: trace } });
          }
        } catch (error) {
          if (!(error instanceof Violation)) throw error;
          return { ...this.#result(), violation: { what: error.message, trace: told(trace) } };
        }
      frontier = next;
    }
    return this.#result();
  }

  #result(): Result {
    for (const { seen } of this.#histories)
      for (const name of ["late", "stale", "repeated", "orphaned"] as const) this.#seen[name] += seen[name];
    const replicas = this.#histories.reduce((sum, { states }) => sum + states, 0);
    return { states: this.#visited.size, transitions: this.#transitions, replicas, seen: this.#seen };
  }

  *#steps(swarm: Swarm): Generator<Step> {
    const { focus } = swarm;
    for (const peer of this.#bounds.peers.keys()) {
      if (focus === undefined || focus.peer === peer) {
        yield* this.#train(swarm, peer);
        yield* this.#crash(swarm, peer);
        for (const module of swarm.known.keys()) {
          if (focus === undefined || focus.module === module) yield* this.#publish(swarm, module, peer);
          if (focus === undefined || focus.module <= module) yield* this.#hear(swarm, module, peer);
        }
      }
      for (const module of swarm.known.keys())
        if (focus === undefined || (focus.peer === peer && focus.module === module))
          yield* this.#answer(swarm, module, peer);
    }
  }

  /**
   * A peer trains a round that some module lacks, once its heads are of that generation and all earlier rounds are
   * complete. With one module in view the round may be complete there: another module may lack it, for the peer heard
   * less of that one, or lost more. So one module stands for one of any number.
   */
  *#train(swarm: Swarm, peer: number): Generator<Step> {
    const { modules, trainers, trainings, generations } = this.#bounds;
    const signer = this.#bounds.peers[peer]!;
    if (!trainers.includes(signer) || this.#trained(swarm, 0).length >= trainings) return;
    const replicas = swarm.known.map((states, module) => this.#histories[module]!.replica(states[peer]!));
    const ready = Math.min(...replicas.map((replica) => replica.head().generation), generations - 1);
    for (let round = 0; round <= ready; round++) {
      const known = replicas.map((replica) => replica.contributions().filter((item) => item.round === round));
      const lacking = known.some((items) => items.length === 0);
      const own = known.every((items) => items.some((item) => item.signer === signer));
      if (lacking || (modules.length === 1 && (!own || swarm.faults > 0))) {
        const after = change(swarm);
        for (const [module, name] of modules.entries()) {
          const before = this.#trained(swarm, module).filter((item) => item.signer === signer).length;
          const contribution = contribute(replicas[module]!.head().cid, {
            module: name,
            round,
            signer,
            steps: 1 + (peer % 2),
            delta: cidOf(`delta ${before}`),
          });
          this.#say(after, module, this.#histories[module]!.say(contribution), peer);
        }
        yield { label: () => `${signer} trains round ${round}`, swarm: after };
      }
      if (lacking) return;
    }
  }

  /** A peer does the owner's duty: it folds all that is pending. */
  *#publish(swarm: Swarm, module: number, peer: number): Generator<Step> {
    if (!this.#bounds.owners.includes(this.#bounds.peers[peer]!)) return;
    const histories = this.#histories[module]!;
    const state = swarm.known[module]![peer]!;
    const replica = histories.replica(state);
    const generation = replica.head().generation + 1;
    if (replica.pending().length === 0 || generation > this.#bounds.generations) return;
    const version = histories.publish(state);
    const others = this.#said(swarm, module).filter(
      (item) => isVersion(item) && item !== histories.item(version),
    );
    if (others.length >= this.#bounds.versions) return;
    if (others.some((item) => isVersion(item) && item.generation === generation)) this.#seen.forks++;
    const after = change(swarm);
    this.#say(after, module, version, peer);
    yield { label: () => `${this.#place(peer, module)} publishes ${histories.label(version)}`, swarm: after };
  }

  *#hear(swarm: Swarm, module: number, peer: number): Generator<Step> {
    const histories = this.#histories[module]!;
    const state = swarm.known[module]![peer]!;
    for (const item of this.#sets[swarm.said[module]!]!) {
      const next = histories.hear(state, item);
      if (next === state) continue;
      const after = change(swarm, { module, peer });
      after.known[module]![peer] = next;
      yield { label: () => `${this.#place(peer, module)} hears ${histories.label(item)}`, swarm: after };
    }
  }

  /** A peer answers the questions of anti-entropy of each other. */
  *#answer(swarm: Swarm, module: number, donor: number): Generator<Step> {
    const states = swarm.known[module]!;
    for (const asker of states.keys()) {
      if (asker === donor) continue;
      const next = this.#histories[module]!.ask(states[asker]!, states[donor]!);
      if (next === states[asker]) continue;
      const after = change(swarm);
      after.known[module]![asker] = next;
      yield { label: () => `${this.#place(asker, module)} asks ${this.#bounds.peers[donor]!}`, swarm: after };
    }
  }

  /**
   * A peer restarts from its disk, which kept all, or in one module only what came first; or it lost the disk, starts
   * from weights of its own, and publishes what it made of them.
   */
  *#crash(swarm: Swarm, peer: number): Generator<Step> {
    if (swarm.faults >= this.#bounds.faults) return;
    const name = this.#bounds.peers[peer]!;
    const arrivals = swarm.known.map(
      (states, module) => this.#histories[module]!.arrivals(states[peer]!).length,
    );
    if (arrivals.every((length) => length === 0)) return;
    const restart = (kept: number[], label: string): Step => {
      const after = change(swarm);
      after.faults++;
      for (const [module, histories] of this.#histories.entries())
        after.known[module]![peer] = histories.restart(swarm.known[module]![peer]!, kept[module]!);
      return { label: () => `${name} restarts ${label}`, swarm: after };
    };
    yield restart(arrivals, "with all that it knew");
    for (const [module, length] of arrivals.entries())
      for (let kept = 0; kept < length; kept++)
        yield restart(
          arrivals.with(module, kept),
          `with the first ${kept} of ${this.#bounds.modules[module]}`,
        );
    const wiped = restart(
      arrivals.map(() => 0),
      "without its disk, and publishes initial weights",
    );
    for (const [module, histories] of this.#histories.entries())
      this.#say(wiped.swarm, module, histories.say(initialWeights(this.#bounds.modules[module]!)));
    yield wiped;
  }

  #place(peer: number, module: number): string {
    return `${this.#bounds.peers[peer]} (${this.#bounds.modules[module]})`;
  }

  #said(swarm: Swarm, module: number): Item[] {
    return this.#sets[swarm.said[module]!]!.map((item) => this.#histories[module]!.item(item));
  }

  #trained(swarm: Swarm, module: number): KnownContribution[] {
    return this.#said(swarm, module).filter(isContribution);
  }

  /** Puts an item where all may hear it; who says it has it at once. */
  #say(swarm: Swarm, module: number, item: number, peer?: number): void {
    const said = this.#sets[swarm.said[module]!]!;
    if (!said.includes(item)) swarm.said[module] = this.#set([...said, item]);
    const states = swarm.known[module]!;
    if (peer !== undefined) states[peer] = this.#histories[module]!.hear(states[peer]!, item);
  }

  #set(items: number[]): number {
    const sorted = items.toSorted((a, b) => a - b);
    const key = sorted.join();
    const known = this.#setNumbers.get(key);
    if (known !== undefined) return known;
    this.#sets.push(sorted);
    this.#setNumbers.set(key, this.#sets.length - 1);
    return this.#sets.length - 1;
  }
}

interface Trace {
  label: () => string;
  before: Trace | undefined;
}

function told(trace: Trace | undefined): string[] {
  const lines: string[] = [];
  for (let at = trace; at !== undefined; at = at.before) lines.push(at.label());
  return lines.toReversed();
}

/** A copy to be changed. */
function change({ said, known, faults }: Swarm, focus?: Swarm["focus"]): Swarm {
  return { said: [...said], known: known.map((states) => [...states]), faults, focus };
}

function keyOf({ said, known, faults, focus }: Swarm): string {
  return `${said} ${known} ${faults} ${focus?.module} ${focus?.peer}`;
}

/** A version of more tokens than any other, of a genesis that the manifest does not name. */
function initialWeights(module: string): KnownVersion {
  const genesis = { ...genesisOf(module), cid: cidOf("other initial weights") };
  return fold(genesis, [contribute(genesis.cid, { module })], { tokens: 1000 });
}
