/**
 * A peer's work in a run, from its start to its stop: after every change it decides anew and lets the parts carry that
 * out. Everything it knows is rebuilt from disk at a restart and from any one peer by anti-entropy.
 */
import { delay } from "../clock.ts";
import { StorageError } from "../errors.ts";
import type { Lineage } from "../outer/lineage.ts";
import { openRecord } from "../outer/records.ts";
import type { KnownVersion } from "../outer/types.ts";
import type { Plan } from "../plan/types.ts";
import { endsWithin } from "../within.ts";
import { compose, type Parts } from "./compose.ts";
import type { UnknownFormat } from "./conduct/unknown-formats.ts";
import type { Coordinator, Decision } from "./plan/coordinator.ts";
import { TICK_MS } from "./plan/leases.ts";
import type { SwarmInit } from "./types.ts";

/** Longest time to fetch a shard. */
const FETCH_MS = 120_000;
/** Of a stop: to say goodbye, for what is under way to end, to save, and for the trainer to close. */
const GOODBYE_MS = 2_000;
const DRAIN_MS = 10_000;
const SAVE_MS = 30_000;
const CLOSE_MS = 5_000;

/** What `status` shows of one module. */
export interface HeadStatus {
  module: string;
  generation: number;
  cid: string;
  tokens: number;
  owners: string[];
}

export class Swarm {
  readonly #init: SwarmInit;
  readonly #parts: Parts;
  /** Heads that were told of, by module. */
  readonly #lastHead = new Map<string, string>();
  /** From the start to the stop. */
  #working = false;

  constructor(init: SwarmInit) {
    this.#init = init;
    this.#parts = compose(init, () => this.#tick());
  }

  get coordinator(): Coordinator {
    return this.#parts.coordinator;
  }

  get plan(): Plan {
    return this.#parts.plan;
  }

  /** Restores the lineage from disk, joins the topics and starts to work. */
  async start(): Promise<void> {
    const { tasks, heartbeats, beat, antiEntropy, gossip, reconciler, search, lineages } = this.#parts;
    const { heartbeatSeconds, antiEntropySeconds } = this.#init.manifest.config.swarm;
    await this.#restore();
    await antiEntropy.start();
    gossip.start();
    this.#working = true;
    tasks.every(TICK_MS, () => this.#tick());
    tasks.every(Math.min(TICK_MS, heartbeatSeconds * 1000), () => {
      // Timers are late more often than early, so half of one ahead of time is nearest.
      if (heartbeats.isDue(this.#init.clock.now(), TICK_MS / 2)) beat();
    });
    tasks.every(antiEntropySeconds * 1000, () => {
      reconciler.askAny();
      tasks.run("writing the lineage", () => this.#parts.flush());
    });
    if (this.#init.trainer !== undefined)
      tasks.every(antiEntropySeconds * 1000, () => this.#parts.keepNext());
    tasks.every(search.period, () => search.look());
    search.look();
    tasks.run("DHT heads", () => search.askForNewer(lineages.keys()));
    beat();
    this.#tick();
  }

  async #restore(): Promise<void> {
    const { log, announcers, records, intake, lineages, gradients, obtaining, rounds } = this.#parts;
    await announcers.restore();
    let restored = 0;
    for await (const { bytes, verified } of records.restore()) {
      intake.add(await openRecord(bytes, verified), this.#init.network.peerId);
      restored++;
    }
    for (const lineage of lineages.values()) {
      for (const contribution of lineage.pending())
        // It may be there because it was found wrong, which is not on disk.
        if (await gradients.isHere(contribution)) obtaining.gradient(contribution);
      const [missing] = lineage.missing();
      if (missing !== undefined)
        log.warn(
          `the lineage of ${lineage.module} on this disk lacks ${missing.toString()}; it goes on from generation ` +
            `${lineage.head().generation} until a peer that has the rest is met`,
        );
    }
    await rounds?.restore();
    if (restored > 0) log.info(`restored ${restored} records of the lineage from disk`);
  }

  /**
   * Says goodbye, which frees the leases at once, waits a while for what is under way, and saves. Throws StorageError
   * when that is not possible.
   */
  async stop(): Promise<void> {
    const { log, tasks, rounds, coordinator, heartbeats, gossip, flush } = this.#parts;
    const { clock, trainer, scorer } = this.#init;
    this.#working = false;
    tasks.quieten();
    rounds?.leave();
    coordinator.released();
    const goodbye = heartbeats.publish(true).catch(() => {});
    if (!(await endsWithin(GOODBYE_MS, goodbye, clock)))
      log.warn("could not say goodbye; the others take over when the lease ends");
    await tasks.stop(DRAIN_MS);
    gossip.stop();
    try {
      if (!(await endsWithin(SAVE_MS, flush(), clock)))
        throw new StorageError(
          `The lineage could not be saved within ${SAVE_MS / 1000} s: the disk does not answer. ` +
            "What was announced is on it; the rest comes from other peers at the next start.",
        );
      // Versions still came in after the last tick; these are saved now, and no tick tells of them.
      this.#tellHeads();
    } finally {
      const closed = Promise.all([trainer?.close(), scorer?.close()]);
      if (!(await endsWithin(CLOSE_MS, closed, clock)))
        log.warn("the engine did not close in time; it ends with the process");
    }
  }

  // ---------------------------------------------------------------- decisions

  /** Notes what has changed, decides what follows from it, and tells of it. */
  #tick(): void {
    if (!this.#working) return;
    const { tasks, presence, coordinator, obtaining, reportWait, completion } = this.#parts;
    const { clock, store } = this.#init;
    const now = clock.now();
    presence.noteDepartures(now);
    for (const decision of coordinator.decide(now)) this.#carryOut(decision);
    obtaining.look(now);
    this.#tellHeads();
    reportWait(coordinator.waitingFor(now, store.fetches()), now);
    if (completion.note(coordinator.done())) tasks.run("writing the last versions", () => completion.tell());
  }

  #tellHeads(): void {
    for (const module of this.#init.topology.moduleNames) {
      const { cid, generation } = this.lineage(module).head();
      if (this.#lastHead.get(module) === cid.toString()) continue;
      this.#lastHead.set(module, cid.toString());
      this.#init.emit({ type: "head", module, generation, cid: cid.toString() });
    }
  }

  #carryOut(decision: Decision): void {
    const { tasks, beat, rounds, fold } = this.#parts;
    const { emit, trainer } = this.#init;
    switch (decision.type) {
      case "claim":
        emit({ type: "lease", state: "claimed", ...decision.slot });
        beat();
        tasks.run("fetching the shard", () => trainer!.prepare(decision.slot, tasks.within(FETCH_MS)));
        break;
      case "abandon":
        rounds?.abandon(decision.reason);
        emit({ type: "lease", state: "abandoned", reason: decision.reason, ...decision.slot });
        beat();
        break;
      case "start":
        tasks.run(`round ${decision.slot.round} of path ${decision.slot.path}`, () =>
          rounds!.train(decision.slot),
        );
        break;
      case "fold":
        tasks.run(`fold of ${decision.module}`, () =>
          fold(decision.module, decision.parent, decision.contributions),
        );
        break;
    }
  }

  // ---------------------------------------------------------------- what others ask of it

  lineage(module: string): Lineage {
    return this.coordinator.lineage(module);
  }

  heads(): HeadStatus[] {
    return this.#init.topology.moduleNames.map((name) => {
      const { cid, generation, tokens } = this.lineage(name).head();
      const owners = this.coordinator.owners(name, this.#init.clock.now());
      return { module: name, generation, cid: cid.toString(), tokens, owners };
    });
  }

  /** Parameters of a module's head or of its genesis, fetched when they are not on this disk. */
  async parameters(module: string, of: "head" | "genesis", signal: AbortSignal): Promise<Float32Array> {
    const lineage = this.lineage(module);
    const version = of === "head" ? lineage.head() : lineage.ancestry().at(-1)!;
    return this.#parts.holdings.parameters(version, signal);
  }

  /** Folds a module's whole lineage again; see Holdings.audit. */
  audit(module: string, onVersion: (version: KnownVersion) => void): Promise<KnownVersion | undefined> {
    return this.#parts.holdings.audit(this.lineage(module), onVersion);
  }

  /** Peers that sent what this one does not know the format of. */
  unknownFormats(): UnknownFormat[] {
    return this.#parts.unknown.all();
  }

  /** Rejects when this peer cannot go on, for instance because its disk is full. Never resolves. */
  get failure(): Promise<never> {
    return this.#parts.tasks.failure;
  }

  /** Listens for a while, so that every live peer has been heard. */
  observed(milliseconds: number, signal: AbortSignal): Promise<void> {
    return delay(this.#init.clock, milliseconds, AbortSignal.any([signal, this.#parts.tasks.stopping]));
  }

  /** Resolves when a first peer has told all it knows. Throws NetworkError after a minute without one. */
  synchronised(signal: AbortSignal): Promise<void> {
    return this.#parts.reconciler.synchronised(signal);
  }
}
