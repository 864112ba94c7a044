/** Builds the parts of a swarm and lets each know the others. What they do is theirs; when they begin, swarm.ts says. */
import { Lineage } from "../outer/lineage.ts";
import { openRecord } from "../outer/records.ts";
import { isTried } from "../outer/rules.ts";
import { createPlan } from "../plan/plan.ts";
import { createCharge, createDiscipline } from "./conduct/discipline.ts";
import { createAnnouncers } from "./conduct/provenance.ts";
import { createUnknownFormats } from "./conduct/unknown-formats.ts";
import { createHeartbeats } from "./members/heartbeats.ts";
import { createPresence, type Presence } from "./members/presence.ts";
import { createFolding } from "./modules/folding.ts";
import { createGradients } from "./modules/gradients.ts";
import { createHolders } from "./modules/holders.ts";
import { createHoldoutCheck } from "./modules/holdout-check.ts";
import { Holdings } from "./modules/holdings.ts";
import { createKeeping } from "./modules/keeping.ts";
import { createLineageStore } from "./modules/lineage-store.ts";
import { createModuleStates } from "./modules/module-states.ts";
import { createObtaining, type Obtaining } from "./modules/obtaining.ts";
import { createRetention } from "./modules/retention.ts";
import { createReplication, replicatedObjects } from "./modules/replication.ts";
import { Completion } from "./plan/completion.ts";
import { Coordinator } from "./plan/coordinator.ts";
import { createWaitReport } from "./plan/waiting.ts";
import { createContributing } from "./rounds/contributing.ts";
import { createPathStates } from "./rounds/path-states.ts";
import { RoundDriver } from "./rounds/round-driver.ts";
import { createRoundStates } from "./rounds/round-states.ts";
import { createAntiEntropy } from "./sync/anti-entropy.ts";
import { createGossip, type Gossip } from "./sync/gossip.ts";
import { createIntake, type Intake } from "./sync/intake.ts";
import { createReconciler, type Reconciler } from "./sync/reconciler.ts";
import { createSearch } from "./sync/search.ts";
import { createSplitDetector } from "./sync/split.ts";
import { Tasks } from "./tasks.ts";
import type { SwarmInit } from "./types.ts";

export type Parts = ReturnType<typeof compose>;

/** @param changed what the next decisions depend on has changed */
export function compose(init: SwarmInit, changed: () => void) {
  const { clock, random, network, store, packs, run, manifest, topology, trainer, emit } = init;
  const { config } = manifest;
  const self = network.peerId;
  const role = trainer === undefined ? "observer" : "worker";
  const log = init.logger.component("swarm");
  const tasks = new Tasks(clock, log);
  const plan = createPlan({ ...manifest, topology });
  const lineages: ReadonlyMap<string, Lineage> = new Map(
    [...init.genesis].map(([module, genesis]) => [
      module,
      new Lineage({ module, genesis, topology, config, plan, runId: run }),
    ]),
  );
  const coordinator = new Coordinator({
    self,
    role,
    run,
    config,
    topology,
    plan,
    lineages,
    now: clock.now(),
  });
  const lineage = (module: string): Lineage => coordinator.lineage(module);
  const records = createLineageStore(store, lineages);
  /** What most parts know. */
  const shared = {
    self,
    clock,
    random,
    tasks,
    network,
    store,
    run,
    coordinator,
    plan,
    lineages,
    lineage,
    changed,
    emit,
  };

  const announcers = createAnnouncers(store);
  const unknown = createUnknownFormats();
  const notUnderstood = (peer: string, reason: string): void => {
    if (unknown.note(peer, reason)) emit({ type: "unknown-format", peer, reason });
  };
  const discipline = createDiscipline({
    network,
    evidence: init.evidence,
    now: () => clock.now(),
    forget: (peer) => presence.forget(peer),
    emit,
  });
  const charge = createCharge(discipline, tasks);

  const beat = (): void => {
    if (!tasks.stopping.aborted) tasks.run("heartbeat", () => heartbeats.publish());
  };
  const splits = createSplitDetector({
    lineages,
    heartbeatMs: config.swarm.heartbeatSeconds * 1000,
    now: clock.now(),
  });
  const ask = (peer: string): void => reconciler.ask(peer);
  const presence: Presence = createPresence({ ...shared, splits, beat, ask, notUnderstood });
  const intake: Intake = createIntake({ ...shared, records, announcers, splits, charge, notUnderstood, ask });
  const gossip: Gossip = createGossip({
    network,
    run,
    config,
    modules: topology.moduleNames,
    hear: (from, heartbeat) => presence.hear(from, heartbeat),
    receive: (opened, from) =>
      tasks.run(`record from ${from}`, () => intake.receive(opened.bytes, from, async () => opened, true)),
    charge,
    notUnderstood,
  });
  const antiEntropy = createAntiEntropy({
    ...shared,
    blockOf: (cid) => records.block(cid),
    ingest: (block, from) => intake.receive(block, from, () => openRecord(block)),
    offended: (peer, reason) => charge(peer, "bad-exchange", reason),
    notUnderstood,
    exchanged: (peer, brought, milliseconds) =>
      emit({ type: "exchange", peer, records: brought, milliseconds }),
    log,
  });
  const reconciler: Reconciler = createReconciler({
    ...shared,
    antiEntropy,
    splits,
    live: () => presence.live.keys(),
  });
  const search = createSearch({
    ...shared,
    modules: topology.modules.map(({ name }) => name),
    live: presence.live,
    ask,
    ...(init.searchMs === undefined ? {} : { searchMs: init.searchMs }),
  });

  const { holdout } = config.outer;
  const tried = (module: string): boolean => isTried(module, { config, topology });
  const check =
    holdout &&
    init.scorer &&
    createHoldoutCheck({
      holdout,
      isTried: tried,
      topology,
      lineage,
      parameters: async (version, signal) => {
        await holdings.materialise(version);
        return holdings.parameters(version, signal);
      },
      scorer: init.scorer,
      logger: log,
    });
  const states = createModuleStates({
    packs,
    outer: config.outer,
    tensors: init.tensors,
    weightOf: (contribution) => plan.weightOf(contribution),
  });
  const holders = createHolders({
    self,
    announcers,
    owners: (module) => coordinator.owners(module, clock.now()),
    live: () => presence.live.keys(),
    sources: init.sources,
    blocked: (peer) => discipline.blocked(peer),
  });
  const retention = createRetention({
    ...shared,
    config,
    packs,
    records,
    archive: init.archive,
    released: (cid) => holdings.released(cid),
  });
  const gradients = createGradients({ ...shared, packs, states, holders, retention, check });
  const holdings: Holdings = new Holdings({
    ...shared,
    config,
    packs,
    states,
    gradients,
    holders,
    retention,
    isTried: tried,
    announcers,
    refused: (version, reason) => {
      const { publishers } = announcers.of(version.cid);
      for (const peer of publishers) charge(peer, "invalid-version", reason, { cid: version.cid });
    },
  });
  const obtaining: Obtaining = createObtaining({
    modules: topology.moduleNames,
    observes: init.trainer === undefined,
    ...shared,
    gradients,
    holdings,
    lastSlot: () => rounds?.lastSlot,
    charge,
  });
  const fold = createFolding({ ...shared, gradients, holdings, intake, gossip });
  const warmStart = topology.modules.flatMap(({ name }) => Object.values(init.genesis.get(name)!.state));
  const keepNext = createKeeping({
    ...shared,
    replication: createReplication(run.toString(), self, replicatedObjects(manifest, warmStart)),
    keep: init.keep,
  });

  const pathStates = createPathStates({ store, packs, plan, logger: log });
  /** Absent for an observer. */
  const rounds: RoundDriver | undefined =
    trainer &&
    new RoundDriver({
      ...shared,
      trainer,
      config,
      holdings,
      pathStates,
      roundStates: createRoundStates({ store, logger: log }),
      contribute: createContributing({
        ...shared,
        round: {
          run,
          packs,
          tensors: init.tensors,
          privateKey: network.privateKey,
          codec: config.outer.codec,
          states: pathStates,
        },
        records,
        gradients,
        retention,
        intake,
        gossip,
        reject: obtaining.reject,
      }),
      released: () => {
        beat();
        changed();
      },
      stopping: tasks.stopping,
      log,
    });
  const heartbeats = createHeartbeats({
    ...shared,
    role,
    device: trainer?.device ?? "none",
    memoryBytes: init.memoryBytes,
    heads: () => topology.moduleNames.map((name) => lineage(name).head().cid),
    tokensPerSecond: () => rounds?.tokensPerSecond ?? 0,
    transferred: () => store.transferred,
    publish: (bytes) => gossip.speak(bytes),
  });

  /** Writes what only memory knows of the lineage and of who announced it. */
  const flush = async (): Promise<void> => {
    await records.flush();
    await announcers.flush();
  };
  return {
    log,
    tasks,
    plan,
    lineages,
    coordinator,
    records,
    announcers,
    unknown,
    presence,
    beat,
    heartbeats,
    intake,
    gossip,
    antiEntropy,
    reconciler,
    search,
    gradients,
    holdings,
    obtaining,
    fold,
    keepNext,
    rounds,
    flush,
    reportWait: createWaitReport((reason) => emit({ type: "waiting", reason })),
    completion: new Completion(flush, () => emit({ type: "done" })),
  };
}
