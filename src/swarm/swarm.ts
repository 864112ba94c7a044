/**
 * The effects of the swarm: carries out what the coordinator decides, over the network, the store and the
 * trainer. Everything it knows is rebuilt from disk at a restart and from any one peer by anti-entropy.
 */
import type { CID } from "multiformats/cid";
import { type Clock, delay, timeout } from "../clock.ts";
import { InvalidObjectError, messageOf, NetworkError, StorageError, UnknownFormatError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Network, Refusal } from "../net/types.ts";
import { isAdmitted } from "../objects/config.ts";
import type { Manifest } from "../objects/manifest.ts";
import type { TensorDescription } from "../objects/tensor-pack.ts";
import { dagCborCid } from "../objects/object.ts";
import { PROTOCOL } from "../objects/protocol.ts";
import { Lineage } from "../outer/lineage.ts";
import { type OpenedRecord, openRecord } from "../outer/records.ts";
import { isTried } from "../outer/rules.ts";
import type { KnownContribution, KnownVersion } from "../outer/types.ts";
import type { Random } from "../random.ts";
import { createPlan } from "../plan/plan.ts";
import { isSameSlot } from "../plan/slots.ts";
import type { Plan, Slot } from "../plan/types.ts";
import type { Topology } from "../run/types.ts";
import type { Store } from "../store/types.ts";
import { createAnnouncers } from "./conduct/provenance.ts";
import { createAntiEntropy } from "./sync/anti-entropy.ts";
import { Completion } from "./plan/completion.ts";
import type { Offence } from "./conduct/offences.ts";
import { Coordinator, type Decision } from "./plan/coordinator.ts";
import { createReplication, type Replication, replicatedObjects } from "./modules/replication.ts";
import { createDiscipline, type Discipline } from "./conduct/discipline.ts";
import type { EvidenceLog } from "./conduct/evidence.ts";
import { peersWithNewerHeads, publishHead } from "./sync/discovery.ts";
import { TICK_MS } from "./plan/leases.ts";
import { createHoldoutCheck } from "./modules/holdout-check.ts";
import { createHeartbeats, type Heartbeats } from "./members/heartbeats.ts";
import { Holdings } from "./modules/holdings.ts";
import { createLineageStore } from "./modules/lineage-store.ts";
import { Heartbeat, LineageRecord } from "./messages.ts";
import { createModuleStates } from "./modules/module-states.ts";
import { createPathStates, type PathStates } from "./rounds/path-states.ts";
import { type FinishedRound, writeRound } from "./rounds/round.ts";
import { RoundDriver } from "./rounds/round-driver.ts";
import { createRoundStates } from "./rounds/round-states.ts";
import { createPublications } from "./conduct/publications.ts";
import { createOutsideSearch, SEARCH_MS, searchPause } from "./sync/outside-search.ts";
import { createSplitDetector } from "./sync/split.ts";
import { Tasks } from "./tasks.ts";
import type { HoldoutScorer, Packs, PathTrainer, SwarmEvent } from "./types.ts";
import { createUnknownFormats, type UnknownFormat } from "./conduct/unknown-formats.ts";
import { createWaitReport } from "./plan/waiting.ts";
import { endsWithin } from "../within.ts";

/** Longest time for one peer to deliver the tensors of one module. */
const FETCH_MS = 120_000;
/** After a fold that failed, how long until the next try. */
const FOLD_RETRY_MS = 3_000;
const DHT_MS = 20_000;
const SYNCHRONISE_MS = 60_000;
const DISCOVERY_MS = 5_000;
/** Of a stop: to say goodbye, for what is under way to end, to save, and for the trainer to close. */
const GOODBYE_MS = 2_000;
const DRAIN_MS = 10_000;
const SAVE_MS = 30_000;
const CLOSE_MS = 5_000;

export interface SwarmInit {
  clock: Clock;
  /** For choices among peers and modules. */
  random: Random;
  network: Network;
  store: Store;
  packs: Packs;
  run: CID;
  manifest: Manifest;
  topology: Topology;
  /** The genesis version of each module, by module name. */
  genesis: ReadonlyMap<string, KnownVersion>;
  /** Tensors of a module in network order. */
  tensors(module: string): TensorDescription[];
  /** Peers that are known to have the run, before any of them is heard. */
  sources(): string[];
  /** Where offences of peers are kept; absent when they are not. */
  evidence?: EvidenceLog;
  /** Absent for an observer. */
  trainer: PathTrainer | undefined;
  /** For runs that try contributions on held-out text; absent in others, and for an observer. */
  scorer?: HoldoutScorer;
  /** Gets an object of the manifest onto this disk, to stay. */
  keep(object: CID, signal: AbortSignal): Promise<void>;
  /** Keep all tensors of all generations. */
  archive: boolean;
  memoryBytes: number;
  /** Time between two looks for a half of the run that this one does not know. @default 20 s */
  searchMs?: number;
  logger: Logger;
  emit(event: SwarmEvent): void;
}

/** What `status` shows of one module. */
export interface HeadStatus {
  module: string;
  generation: number;
  cid: string;
  tokens: number;
  owners: string[];
}

export class Swarm {
  readonly coordinator: Coordinator;
  readonly plan: Plan;
  readonly #init: SwarmInit;
  readonly #holdings: Holdings;
  readonly #records;
  readonly #pathStates: PathStates;
  readonly #announcers;
  readonly #replication: Replication;
  #keeping = false;
  readonly #antiEntropy;
  readonly #discipline: Discipline;
  readonly #published = createPublications();
  readonly #unknown = createUnknownFormats();
  readonly #lineages: ReadonlyMap<string, Lineage>;
  readonly #log: Logger;
  readonly #tasks: Tasks;
  readonly #heartbeats: Heartbeats;
  /** Absent for an observer. */
  readonly #rounds: RoundDriver | undefined;
  readonly #lastHead = new Map<string, string>();
  /** Roles of the peers that are heard. */
  readonly #live = new Map<string, Heartbeat["role"]>();
  readonly #synchronised = Promise.withResolvers<void>();
  readonly #reportWait;
  readonly #completion = new Completion(
    () => this.#flush(),
    () => this.#init.emit({ type: "done" }),
  );
  /** From the start to the stop. */
  #working = false;
  #provided = false;
  #nextSearch = Number.NEGATIVE_INFINITY;
  readonly #outside;
  readonly #splits;

  constructor(init: SwarmInit) {
    this.#init = init;
    this.#log = init.logger.component("swarm");
    const { manifest, topology, run, network } = init;
    const plan = createPlan({ ...manifest, topology });
    this.plan = plan;
    this.#reportWait = createWaitReport((reason) => init.emit({ type: "waiting", reason }));
    this.#tasks = new Tasks(init.clock, this.#log);
    this.#lineages = new Map(
      [...init.genesis].map(([module, genesis]) => [
        module,
        new Lineage({ module, genesis, topology, config: manifest.config, plan, runId: run }),
      ]),
    );
    this.coordinator = new Coordinator({
      self: network.peerId,
      role: init.trainer === undefined ? "observer" : "worker",
      run,
      config: manifest.config,
      topology,
      plan,
      lineages: this.#lineages,
      now: init.clock.now(),
    });
    this.#records = createLineageStore(init.store, this.#lineages);
    const warmStart = topology.modules.flatMap(({ name }) => Object.values(init.genesis.get(name)!.state));
    this.#replication = createReplication(
      run.toString(),
      network.peerId,
      replicatedObjects(manifest, warmStart),
    );
    this.#pathStates = createPathStates({ store: init.store, packs: init.packs, plan, logger: this.#log });
    this.#discipline = createDiscipline({
      network,
      evidence: init.evidence,
      now: () => init.clock.now(),
      forget: (peer) => this.#forget(peer),
      emit: (event) => init.emit(event),
    });
    this.#announcers = createAnnouncers(init.store);
    const { holdout } = manifest.config.outer;
    const tried = (module: string): boolean => isTried(module, { config: manifest.config, topology });
    this.#holdings = new Holdings({
      clock: init.clock,
      ...(holdout === undefined || init.scorer === undefined
        ? {}
        : {
            check: createHoldoutCheck({
              holdout,
              isTried: tried,
              topology,
              lineage: (module) => this.lineage(module),
              parameters: async (version, signal) => {
                await this.#holdings.materialise(version);
                return this.#holdings.parameters(version, signal);
              },
              scorer: init.scorer,
              logger: this.#log,
            }),
          }),
      isTried: tried,
      self: network.peerId,
      config: manifest.config,
      store: init.store,
      packs: init.packs,
      states: createModuleStates({
        packs: init.packs,
        outer: manifest.config.outer,
        tensors: init.tensors,
        shardTokens: (path) => plan.weightOf(path),
      }),
      announcers: this.#announcers,
      archive: init.archive,
      lineage: (module) => this.lineage(module),
      owners: (module) => this.coordinator.owners(module, this.#init.clock.now()),
      live: () => this.#live.keys(),
      sources: () => init.sources(),
      flush: (first) => this.#records.flush(first),
      signal: (milliseconds) => this.#tasks.within(milliseconds),
      blocked: (peer) => this.#discipline.blocked(peer),
      refused: (version, reason) => {
        const { publishers } = this.#announcers.of(version.cid);
        for (const peer of publishers) this.#charge(peer, "invalid-version", reason, { cid: version.cid });
      },
      emit: (event) => init.emit(event),
    });
    const { trainer } = init;
    this.#rounds =
      trainer &&
      new RoundDriver({
        clock: init.clock,
        coordinator: this.coordinator,
        trainer,
        config: manifest.config,
        plan,
        holdings: this.#holdings,
        pathStates: this.#pathStates,
        roundStates: createRoundStates({ store: init.store, logger: this.#log }),
        lineage: (module) => this.lineage(module),
        contribute: (round) => this.#contribute(round),
        released: () => {
          this.#beat();
          this.#tick();
        },
        stopping: this.#tasks.stopping,
        log: this.#log,
        emit: (event) => init.emit(event),
      });
    this.#heartbeats = createHeartbeats({
      clock: init.clock,
      run,
      coordinator: this.coordinator,
      role: trainer === undefined ? "observer" : "worker",
      device: trainer?.device ?? "none",
      memoryBytes: init.memoryBytes,
      heads: () => topology.moduleNames.map((name) => this.lineage(name).head().cid),
      tokensPerSecond: () => this.#rounds?.tokensPerSecond ?? 0,
      transferred: () => init.store.transferred,
      publish: async (bytes) => void (await network.publish(this.#topic(), bytes)),
    });
    this.#outside = createOutsideSearch({ clock: init.clock, network, store: init.store, run });
    this.#splits = createSplitDetector({
      lineages: this.#lineages,
      heartbeatMs: manifest.config.swarm.heartbeatSeconds * 1000,
      now: init.clock.now(),
    });
    this.#antiEntropy = createAntiEntropy({
      clock: init.clock,
      network,
      run,
      lineages: this.#lineages,
      blockOf: (cid) => this.#records.block(cid),
      ingest: (block, from) => this.#receive(block, from, () => openRecord(block)),
      offended: (peer, reason) => this.#charge(peer, "bad-exchange", reason),
      notUnderstood: (peer, reason) => this.#notUnderstood(peer, reason),
      exchanged: (peer, records, milliseconds) =>
        init.emit({ type: "exchange", peer, records, milliseconds }),
      log: this.#log,
    });
  }

  get #config() {
    return this.#init.manifest.config;
  }

  /** Restores the lineage from disk, joins the topics and starts to work. */
  async start(): Promise<void> {
    await this.#restore();
    await this.#antiEntropy.start();
    const { network } = this.#init;
    network.subscribe(this.#topic(), {
      validate: (from, data) => this.#understood(from, async () => this.#validateHeartbeat(data)),
      deliver: (from, heartbeat) => this.#hear(from, heartbeat),
      rejected: (from, data, reason) => this.#charge(from, "malformed-message", reason, { bytes: data }),
    });
    for (const name of this.#init.topology.moduleNames)
      network.subscribe(this.#topic(name), {
        validate: (from, data) => this.#understood(from, () => this.#validateRecord(name, data)),
        deliver: (from, opened) =>
          this.#run(`record from ${from}`, () => this.#receive(opened.bytes, from, async () => opened, true)),
        rejected: (from, data, reason) => this.#charge(from, "malformed-message", reason, { bytes: data }),
      });
    this.#working = true;
    this.#tasks.every(TICK_MS, () => this.#tick());
    this.#tasks.every(Math.min(TICK_MS, this.#config.swarm.heartbeatSeconds * 1000), () => {
      // Timers are late more often than early, so half of one ahead of time is nearest.
      if (this.#heartbeats.isDue(this.#init.clock.now(), TICK_MS / 2)) this.#beat();
    });
    this.#tasks.every(this.#config.swarm.antiEntropySeconds * 1000, () => {
      this.#reconcile();
      this.#run("writing the lineage", () => this.#flush());
    });
    this.#tasks.every(this.#config.swarm.antiEntropySeconds * 1000, () => this.#keep());
    this.#tasks.every(Math.min(DISCOVERY_MS, this.#init.searchMs ?? DISCOVERY_MS), () => this.#find());
    this.#find();
    this.#run("DHT heads", () => this.#askForNewer([...this.#lineages.keys()]));
    this.#beat();
    this.#tick();
  }

  /**
   * Says goodbye, which frees the leases at once, waits a while for what is under way, and saves. Throws StorageError
   * when that is not possible.
   */
  async stop(): Promise<void> {
    this.#working = false;
    this.#tasks.quieten();
    this.#rounds?.leave();
    this.coordinator.released();
    if (
      !(await endsWithin(
        GOODBYE_MS,
        this.#heartbeats.publish(true).catch(() => {}),
        this.#init.clock,
      ))
    )
      this.#log.warn("could not say goodbye; the others take over when the lease ends");
    await this.#tasks.stop(DRAIN_MS);
    this.#init.network.unsubscribe(this.#topic());
    for (const name of this.#init.topology.moduleNames) this.#init.network.unsubscribe(this.#topic(name));
    try {
      if (!(await endsWithin(SAVE_MS, this.#flush(), this.#init.clock)))
        throw new StorageError(
          `The lineage could not be saved within ${SAVE_MS / 1000} s: the disk does not answer. ` +
            "What was announced is on it; the rest comes from other peers at the next start.",
        );
    } finally {
      const closed = Promise.all([this.#init.trainer?.close(), this.#init.scorer?.close()]);
      if (!(await endsWithin(CLOSE_MS, closed, this.#init.clock)))
        this.#log.warn("the engine did not close in time; it ends with the process");
    }
  }

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
    return this.#holdings.parameters(version, signal);
  }

  /** Folds a module's whole lineage again; see Holdings.audit. */
  audit(module: string, onVersion: (version: KnownVersion) => void): Promise<KnownVersion | undefined> {
    return this.#holdings.audit(this.lineage(module), onVersion);
  }

  // ---------------------------------------------------------------- messages in

  #topic(module?: string): string {
    const base = `/pathweave/${PROTOCOL}/${this.#init.run.toString()}`;
    return module === undefined ? base : `${base}/${module}`;
  }

  /** What is of an unknown format is passed over: neither taken in nor held against anybody. */
  async #understood<T extends object>(from: string, validate: () => Promise<T>): Promise<T | Refusal> {
    try {
      return await validate();
    } catch (error) {
      if (!(error instanceof UnknownFormatError)) throw error;
      this.#notUnderstood(from, messageOf(error));
      return "ignore";
    }
  }

  #notUnderstood(peer: string, reason: string): void {
    if (this.#unknown.note(peer, reason)) this.#init.emit({ type: "unknown-format", peer, reason });
  }

  /** Peers that sent what this one does not know the format of. */
  unknownFormats(): UnknownFormat[] {
    return this.#unknown.all();
  }

  // Both throw InvalidObjectError, which the network takes for a rejection, with its reason.

  #validateHeartbeat(data: Uint8Array): Heartbeat {
    const heartbeat = Heartbeat.decode(data);
    this.#checkRun(heartbeat.run);
    return heartbeat;
  }

  async #validateRecord(module: string, data: Uint8Array): Promise<OpenedRecord> {
    const { run, block } = LineageRecord.decode(data);
    this.#checkRun(run);
    const opened = await openRecord(block);
    const { type, record } = opened;
    if (type === "contribution" && !isAdmitted(this.#config, record.signer))
      throw new InvalidObjectError("Its signer is not on the list of peers that the run admits.");
    if (record.module !== module)
      throw new InvalidObjectError(`It is of ${record.module}, not of ${module}.`);
    return opened;
  }

  #checkRun(run: CID): void {
    if (!run.equals(this.#init.run)) throw new InvalidObjectError(`It is of another run, ${run.toString()}.`);
  }

  /** Takes in a block from a peer, which is charged when it is wrong; `published` says that the peer made it itself. */
  async #receive(
    block: Uint8Array,
    from: string,
    open: () => Promise<OpenedRecord>,
    published = false,
  ): Promise<boolean> {
    try {
      return this.#ingest(await open(), from, published);
    } catch (error) {
      if (error instanceof UnknownFormatError) this.#notUnderstood(from, messageOf(error));
      else if (error instanceof InvalidObjectError)
        this.#charge(from, "invalid-record", messageOf(error), { bytes: block, cid: dagCborCid(block) });
      throw error;
    }
  }

  #hear(from: string, heartbeat: Heartbeat): void {
    const now = this.#init.clock.now();
    const known = this.#live.has(from);
    if (!this.coordinator.heard(from, heartbeat, now)) return;
    if (!known && !heartbeat.leaving) {
      this.#live.set(from, heartbeat.role);
      this.#splits.joined(from, now);
      this.#emitMember(from, heartbeat.role, "joined", now);
      // The newcomer learns of us and our leases at once, and we of its lineage; one of many need not.
      const greets = this.coordinator.greets(from, now);
      if (greets) this.#beat();
      // Of another half, only those at the link between the two can be reached at first.
      if (greets || this.#init.network.connections().some(({ peer }) => peer === from))
        this.#run(`anti-entropy with ${from}`, () => this.#ask(from));
    }
    this.#tick();
  }

  /** Takes in a version or contribution; false when it was known already. Throws InvalidObjectError. */
  #ingest(opened: OpenedRecord, from: string, published = false): boolean {
    const { bytes } = opened;
    const { cid, module } = opened.record;
    const lineage = this.#lineages.get(module);
    if (lineage === undefined) throw new InvalidObjectError(`There is no module ${module.slice(0, 64)}.`);
    if (opened.type === "version") {
      // What comes from this peer is its own fold, which is noted there, or was heard of before a restart.
      if (from !== this.#init.network.peerId) this.#announcers.heard(cid, from, published);
      if (published) this.#checkPublication(opened.record, from);
    }
    if (lineage.version(cid) !== undefined || lineage.contribution(cid) !== undefined) return false;
    const { missing, refused } =
      opened.type === "version" ? lineage.addVersion(opened.record) : lineage.addContribution(opened.record);
    for (const { cid: orphan, reason } of refused)
      for (const peer of this.#announcers.of(orphan).all)
        this.#charge(peer, "invalid-record", reason, { cid: orphan });
    if (opened.type === "version") this.#splits.brought(from, opened.record);
    this.#records.add(module, { cid, bytes });
    if (opened.type === "contribution") {
      const { round, path, replica, signer } = opened.record;
      this.coordinator.contributed(opened.record);
      this.#init.emit({
        type: "contribution",
        module,
        from: signer,
        cid: cid.toString(),
        round,
        path,
        replica,
      });
    }
    if (missing !== undefined && from !== this.#init.network.peerId)
      this.#run(`anti-entropy with ${from}`, () => this.#ask(from));
    this.#tick();
    return true;
  }

  // ---------------------------------------------------------------- conduct

  /** A peer that publishes a version says that it folded it itself, so it answers for the outcome. */
  #checkPublication(version: KnownVersion, from: string): void {
    const { cid, module } = version;
    const refusal = this.lineage(module).refusal(cid);
    if (refusal !== undefined) this.#charge(from, "invalid-version", refusal, { cid });
    const other = this.#published(from, version);
    if (other !== undefined)
      this.#charge(from, "contradiction", `It published ${other} for the same fold of ${module}.`, { cid });
  }

  #charge(
    peer: string,
    offence: Offence,
    reason: string,
    object: { cid?: CID; bytes?: Uint8Array } = {},
  ): void {
    const { cid, bytes } = object;
    this.#run(`evidence against ${peer}`, () =>
      this.#discipline.charge({
        peer,
        offence,
        reason,
        ...(cid === undefined ? {} : { cid: cid.toString() }),
        ...(bytes === undefined ? {} : { bytes }),
      }),
    );
  }

  /** Stops counting with a peer. What it contributed stays: work is judged by itself. */
  #forget(peer: string): void {
    this.coordinator.forget(peer, this.#init.clock.now());
    this.#noteDepartures(this.#init.clock.now());
  }

  // ---------------------------------------------------------------- the clock

  #tick(): void {
    if (!this.#working) return;
    const now = this.#init.clock.now();
    this.#noteDepartures(now);
    for (const decision of this.coordinator.decide(now)) this.#carryOut(decision);
    for (const module of this.#interesting(now)) this.#prefetch(module, now);
    // Or this peer would stay on its older head for ever.
    for (const module of this.#init.topology.moduleNames)
      this.#materialise(module, this.lineage(module).passedOver(), now);
    for (const module of this.#init.topology.moduleNames) {
      const head = this.lineage(module).head();
      if (this.#lastHead.get(module) === head.cid.toString()) continue;
      this.#lastHead.set(module, head.cid.toString());
      this.#init.emit({ type: "head", module, generation: head.generation, cid: head.cid.toString() });
    }
    this.#reportWait(this.coordinator.waitingFor(now, this.#init.store.fetches()), now);
    if (this.#completion.note(this.coordinator.done()))
      this.#run("writing the last versions", () => this.#completion.tell());
  }

  #noteDepartures(now: number): void {
    const live = new Set(this.coordinator.membership.live(now).map((member) => member.peer));
    for (const [peer, role] of this.#live)
      if (!live.has(peer)) {
        this.#live.delete(peer);
        this.#splits.left(peer, now);
        this.#emitMember(peer, role, "left", now);
      }
  }

  #emitMember(peer: string, role: Heartbeat["role"], state: "joined" | "left", now: number): void {
    const { peerId } = this.#init.network;
    const live = this.coordinator.workers(now).filter((worker) => worker !== peerId).length;
    this.#init.emit({ type: "member", peer, role, state, live });
  }

  /** Modules whose tensors this peer needs: those it owns and those of the path it trains. */
  #interesting(now: number): Set<string> {
    if (this.#init.trainer === undefined) return new Set();
    const slot = this.coordinator.ownSlot ?? this.#rounds?.lastSlot;
    const path = slot === undefined ? [] : this.plan.laneOf(slot).modules;
    return new Set([...this.coordinator.owned(now), ...path]);
  }

  /** Fetches outer gradients that wait to be folded, and the tensors of a new head. */
  #prefetch(module: string, now: number): void {
    const lineage = this.lineage(module);
    for (const contribution of lineage.pending()) {
      if (this.coordinator.isAvailable(contribution.cid)) continue;
      if (this.#holdings.wantsDelta(contribution, now)) this.#obtainDelta(contribution);
    }
    this.#materialise(module, [lineage.head()], now);
  }

  #materialise(module: string, versions: readonly KnownVersion[], now: number): void {
    for (const version of versions)
      if (this.#holdings.wants(version, now))
        this.#run(`generation ${version.generation} of ${module}`, async () => {
          await this.#holdings.materialise(version);
          this.#tick();
        });
  }

  /** Gets an outer gradient and finds out whether it may be folded. */
  #obtainDelta(contribution: KnownContribution): void {
    const { module, signer, cid } = contribution;
    this.#run(`outer gradient of ${module} from ${signer}`, async () => {
      try {
        await this.#holdings.fetchDelta(contribution);
        this.coordinator.available(module, cid);
        this.#tick();
      } catch (error) {
        if (!(error instanceof InvalidObjectError)) throw error;
        this.#reject(contribution, messageOf(error));
        this.#charge(signer, "invalid-contribution", messageOf(error), { cid });
      }
    });
  }

  #reject(contribution: KnownContribution, reason: string): void {
    this.lineage(contribution.module).refuse(contribution.cid, reason);
    this.#init.emit({
      type: "rejected",
      module: contribution.module,
      cid: contribution.cid.toString(),
      reason,
    });
  }

  // ---------------------------------------------------------------- decisions carried out

  #carryOut(decision: Decision): void {
    switch (decision.type) {
      case "claim":
        this.#init.emit({ type: "lease", state: "claimed", ...decision.slot });
        this.#beat();
        this.#run("fetching the shard", () =>
          this.#init.trainer!.prepare(decision.slot, this.#tasks.within(FETCH_MS)),
        );
        break;
      case "abandon":
        this.#rounds?.abandon(decision.reason);
        this.#init.emit({ type: "lease", state: "abandoned", reason: decision.reason, ...decision.slot });
        this.#beat();
        break;
      case "start":
        this.#run(`round ${decision.slot.round} of path ${decision.slot.path}`, () =>
          this.#rounds!.train(decision.slot),
        );
        break;
      case "fold":
        this.#run(`fold of ${decision.module}`, () =>
          this.#fold(decision.module, decision.parent, decision.contributions),
        );
        break;
    }
  }

  async #contribute(round: FinishedRound): Promise<void> {
    const { run, packs, network, tensors } = this.#init;
    const { contributions, retain } = await writeRound(
      {
        run,
        packs,
        tensors,
        privateKey: network.privateKey,
        codec: this.#config.outer.codec,
        states: this.#pathStates,
      },
      round,
    );
    // What others would refuse is not said; the slot is left to them.
    const opened = await Promise.all(contributions.map(({ bytes }) => openRecord(bytes)));
    for (const { type, record } of opened) if (type === "contribution") await this.#holdings.examine(record);
    // On disk before anybody hears of it, so that a crash cannot take back what was announced.
    await this.#records.flush(async () => {
      for (const record of opened) this.#ingest(record, network.peerId);
      return retain;
    });
    for (const [index, { cid, bytes }] of contributions.entries()) {
      const { module } = round.bases[index]!;
      this.coordinator.available(module, cid);
      this.#rejectLost(module, round.slot);
      await this.#announce(module, bytes);
    }
    // The optimizer state of the round before is as large as the network several times over.
    this.#run("sweeping", () => this.#holdings.sweep());
  }

  /** Of two contributions of this peer to a slot only one can be folded; that must not be one that its disk has lost. */
  #rejectLost(module: string, slot: Slot): void {
    for (const contribution of this.lineage(module).pending())
      if (
        contribution.signer === this.#init.network.peerId &&
        isSameSlot(contribution, slot) &&
        this.coordinator.isLost(contribution.cid) &&
        !this.coordinator.isAvailable(contribution.cid)
      )
        this.#reject(contribution, "its outer gradient was damaged on the only disk that had it");
  }

  async #fold(
    module: string,
    parent: KnownVersion,
    contributions: readonly KnownContribution[],
  ): Promise<void> {
    const ended = (): void => {
      this.coordinator.foldEnded(module);
      this.#tick();
    };
    try {
      const { block, version } = await this.#holdings.fold(parent, contributions, async (folded) => {
        this.#ingest(await openRecord(folded.block.bytes), this.#init.network.peerId);
        this.lineage(module).confirm(folded.version.cid);
      });
      await this.#announce(module, block.bytes);
      this.#run(`DHT record of ${module}`, () =>
        publishHead(this.#init.network, this.#init.run, version, this.#tasks.within(DHT_MS)),
      );
      ended();
    } catch (error) {
      // What cannot be read any more is fetched again before the next try.
      for (const contribution of contributions)
        if (!(await this.#holdings.hasDelta(contribution))) this.coordinator.lost(module, contribution.cid);
      // At once it would fail for the same reason, again and again: where nobody can be asked, no time passes.
      this.#init.clock.after(FOLD_RETRY_MS, ended, { waits: false });
      throw error;
    }
  }

  // ---------------------------------------------------------------- messages out

  #beat(): void {
    if (this.#tasks.stopping.aborted) return;
    this.#run("heartbeat", () => this.#heartbeats.publish());
  }

  async #announce(module: string, block: Uint8Array): Promise<void> {
    const { bytes } = LineageRecord.encode({ run: this.#init.run, block });
    await this.#init.network.publish(this.#topic(module), bytes);
  }

  // ---------------------------------------------------------------- discovery

  /** Announces this peer in the DHT until that has worked, and looks for others that nobody told of. */
  #find(): void {
    const { network, run } = this.#init;
    if (!this.#provided)
      this.#run("DHT announcement", async () => {
        // Fails while nobody is there to keep it.
        if (network.connections().length === 0) return;
        await network.provide(run, this.#tasks.within(DHT_MS));
        this.#provided = true;
      });
    const now = this.#init.clock.now();
    if (now < this.#nextSearch) return;
    this.#nextSearch = Infinity;
    this.#run("looking for peers", () => this.#lookOutside(now));
  }

  async #lookOutside(now: number): Promise<void> {
    const { searchMs = SEARCH_MS, topology, clock, random } = this.#init;
    try {
      const module = topology.modules[random.integer(topology.modules.length)]!.name;
      await Promise.all([
        this.#outside.run(new Set(this.#live.keys()), now, this.#tasks.stopping),
        this.#askForNewer([module]),
      ]);
    } finally {
      const pause =
        this.#live.size === 0 ? DISCOVERY_MS : searchPause(this.#live.size, searchMs, random.uniform());
      this.#nextSearch = clock.now() + pause;
    }
  }

  /** Asks strangers whose heads in the DHT are better. So no half is missed for the many providers of this one. */
  async #askForNewer(modules: string[]): Promise<void> {
    const { network, run } = this.#init;
    const heads = modules.map((module) => this.lineage(module).head());
    for (const peer of await peersWithNewerHeads(network, run, heads, this.#tasks.within(DHT_MS)))
      if (!this.#live.has(peer)) this.#run(`anti-entropy with ${peer}`, () => this.#ask(peer));
  }

  /** Fetches what this peer replicates, one object after the other. */
  #keep(): void {
    const now = this.#init.clock.now();
    const workers = this.coordinator.workers(now);
    // Who hears nobody has nobody to ask either, and would take everything for its duty.
    if (this.#init.trainer === undefined || this.#keeping || this.#tasks.stopping.aborted) return;
    if (now < this.coordinator.listensUntil) return;
    const object = workers.length < 2 ? undefined : this.#replication.next(workers);
    if (object === undefined) return;
    this.#keeping = true;
    this.#run(`keeping ${object.toString()}`, async () => {
      try {
        await this.#init.keep(object, this.#tasks.stopping);
        this.#replication.kept(object);
        this.#init.emit({ type: "kept", cid: object.toString() });
      } finally {
        this.#keeping = false;
      }
      this.#keep();
    });
  }

  // ---------------------------------------------------------------- anti-entropy

  #reconcile(): void {
    const peers = [...this.#live.keys()];
    const peer = peers[this.#init.random.integer(peers.length)];
    if (peer !== undefined) this.#run(`anti-entropy with ${peer}`, () => this.#ask(peer));
  }

  async #ask(peer: string): Promise<void> {
    const split = await this.#splits.during(peer, this.#init.clock.now(), () =>
      this.#antiEntropy.ask(peer, this.#tasks.stopping),
    );
    if (split !== undefined) this.#init.emit({ type: "split", ...split });
    this.#synchronised.resolve();
    this.#tick();
  }

  /** Rejects when this peer cannot go on, for instance because its disk is full. Never resolves. */
  get failure(): Promise<never> {
    return this.#tasks.failure;
  }

  /** Listens for a while, so that every live peer has been heard. */
  observed(milliseconds: number, signal: AbortSignal): Promise<void> {
    return delay(this.#init.clock, milliseconds, AbortSignal.any([signal, this.#tasks.stopping]));
  }

  /**
   * Resolves when a first peer has told all it knows. Throws NetworkError after a minute without one.
   */
  async synchronised(signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, timeout(this.#init.clock, SYNCHRONISE_MS)]);
    const late = new Promise<never>((_, reject) => {
      deadline.addEventListener(
        "abort",
        () => reject(new NetworkError("No peer of the run answered within a minute.")),
        { once: true },
      );
    });
    await Promise.race([this.#synchronised.promise, late]);
  }

  // ---------------------------------------------------------------- disk

  async #flush(): Promise<void> {
    await this.#records.flush();
    await this.#announcers.flush();
  }

  async #restore(): Promise<void> {
    await this.#announcers.restore();
    let records = 0;
    for await (const { bytes, verified } of this.#records.restore()) {
      this.#ingest(await openRecord(bytes, verified), this.#init.network.peerId);
      records++;
    }
    for (const lineage of this.#lineages.values()) {
      for (const contribution of lineage.pending())
        // It may be there because it was found wrong, which is not on disk.
        if (await this.#holdings.hasDelta(contribution)) this.#obtainDelta(contribution);
      const [missing] = lineage.missing();
      if (missing !== undefined)
        this.#log.warn(
          `the lineage of ${lineage.module} on this disk lacks ${missing.toString()}; it goes on from generation ` +
            `${lineage.head().generation} until a peer that has the rest is met`,
        );
    }
    await this.#rounds?.restore();
    if (records > 0) this.#log.info(`restored ${records} records of the lineage from disk`);
  }

  #run(what: string, task: () => Promise<unknown>): void {
    this.#tasks.run(what, task);
  }
}
