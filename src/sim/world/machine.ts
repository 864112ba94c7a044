/**
 * One machine of a world: a disk, a clock and an identity that outlive the process, and the process, which is the peer
 * that the daemon runs. Only files, database, connections, clock and training lie outside of it.
 */
import type { PrivateKey } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { type Clock, timeout } from "../../clock.ts";
import { messageOf } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Network } from "../../net/types.ts";
import { Manifest, ROUTER } from "../../objects/manifest.ts";
import { dagCborCid } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import type { KnownVersion } from "../../outer/types.ts";
import { findManifest } from "../../peer/find-run.ts";
import { keepObject } from "../../peer/run-objects.ts";
import { createRandom } from "../../random.ts";
import { createTopology } from "../../run/topology.ts";
import { createPacks } from "../../store/pack.ts";
import { openStore } from "../../store/store.ts";
import type { BlockSource } from "../../store/fetch-job.ts";
import { LineageRecord } from "../../swarm/messages.ts";
import { HEAD_NAMESPACE, headRecords } from "../../swarm/sync/head-record.ts";
import { Swarm } from "../../swarm/swarm.ts";
import type { SwarmEvent } from "../../swarm/types.ts";
import type { MemoryDisk } from "./disk.ts";
import type { MachineClock } from "./machine-clock.ts";
import type { JoinOptions, MemoryNetwork, MemoryPeer } from "./network.ts";
import type { WorldRun } from "./run.ts";
import { createSeededTrainer } from "./trainer.ts";

/** Longest time to get what a peer starts with. */
const FETCH_MS = 120_000;

const NOBODY: BlockSource = {
  connect: () => Promise.reject(new Error("nobody is there")),
  ask: () => Promise.reject(new Error("nobody is there")),
  onLost: () => () => {},
  async *search() {},
};

/** What a machine tells of its process, beside what the peer says. */
export type MachineEvent =
  | SwarmEvent
  | { type: "started" }
  | { type: "restored" }
  | { type: "ended"; reason: string };

export interface MachineInit {
  name: string;
  privateKey: PrivateKey;
  /** As the network names it. */
  peer: string;
  disk: MemoryDisk;
  clock: MachineClock;
  network: MemoryNetwork;
  /** How the peer joins, beside its identity and its clock. */
  joining: Pick<JoinOptions, "bootstrap" | "admission" | "swarmKey">;
  world: WorldRun;
  /** Time of one training step, in ms. */
  stepMs: number;
  /** Writes a line of the process's log. */
  log(level: string, line: string): void;
  /** `restored` says that the peer has read its disk, before it hears anything new. */
  emit(event: MachineEvent): void;
}

/** What runs on a machine from a start to its end. */
interface Process {
  membership: MemoryPeer;
  closeClock: () => void;
  swarm?: Swarm;
  /** The swarm is started. */
  running: boolean;
}

export class Machine {
  readonly name: string;
  readonly peer: string;
  disk: MemoryDisk;
  /** What a process may store (`--max-disk`), from its next start on. */
  maxBytes = Number.POSITIVE_INFINITY;
  readonly clock: MachineClock;
  /** Called at both ends of every operation of its processes on disk and network; may end the process. */
  onOperation: ((what: string) => void) | undefined;
  /** CIDs of what its peer has announced and the disk has to have. */
  readonly announced = new Set<string>();
  readonly #init: MachineInit;
  #process: Process | undefined;
  #starts = 0;

  constructor(init: MachineInit) {
    this.#init = init;
    this.name = init.name;
    this.peer = init.peer;
    this.disk = init.disk;
    this.clock = init.clock;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  /** Absent while the machine is down or its process is only starting. */
  get swarm(): Swarm | undefined {
    return this.#process?.running === true ? this.#process.swarm : undefined;
  }

  /** Starts the peer on whatever the disk holds. What goes wrong ends the process, as it does the daemon's. */
  start(): void {
    if (this.#process !== undefined) return;
    const { network, privateKey, joining } = this.#init;
    const { clock, close } = this.clock.open();
    const process: Process = {
      membership: network.join({
        ...joining,
        privateKey,
        clock,
        records: { [HEAD_NAMESPACE]: headRecords() },
      }),
      closeClock: close,
      running: false,
    };
    this.#process = process;
    this.#starts++;
    this.#open(process, clock).catch((error: unknown) => this.#fail(process, error));
  }

  /** Ends the process at once; `power` loses what was not flushed, too. */
  kill(power: boolean): void {
    const process = this.#process;
    this.#process = undefined;
    if (power) this.disk.crash();
    else this.disk.kill();
    if (process !== undefined) this.#end(process, power);
  }

  /** Loses the disk, and the process with it. */
  wipe(): void {
    const process = this.#process;
    this.#process = undefined;
    this.announced.clear();
    this.disk.wipe();
    if (process !== undefined) this.#end(process, true);
  }

  /** Puts the run's objects on the disk, as its creator has them. */
  async create(): Promise<void> {
    const { world } = this.#init;
    const { files, database } = this.disk;
    const { clock, close } = this.clock.open();
    const { store } = await openStore({ files, database, clock, source: () => NOBODY });
    await store.put(world.blocks);
    await store.retain(
      "created",
      world.blocks.map(({ cid }) => cid),
    );
    close();
  }

  /** Ends the process as an interrupt does: it says goodbye and saves. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    try {
      await process.swarm?.stop();
    } catch (error) {
      this.#init.log("error", messageOf(error));
    }
    if (this.#process === process) this.kill(false);
  }

  #end(process: Process, vanishes: boolean): void {
    process.closeClock();
    this.#init.network.kill(process.membership.name, { vanishes });
  }

  #fail(process: Process, error: unknown): void {
    if (this.#process !== process) return;
    this.#init.emit({ type: "ended", reason: messageOf(error) });
    this.kill(false);
  }

  /** A network that notes what is announced over it. */
  #listening(process: Process): Network {
    const run = this.#init.world.run.toString();
    const { network } = process.membership;
    const operate = async <T>(name: string, begin: () => Promise<T>): Promise<T> => {
      this.onOperation?.(`before ${name}`);
      const result = await begin();
      if (this.#process === process) this.onOperation?.(`after ${name}`);
      return result;
    };
    return {
      ...network,
      publish: (topic, data) => {
        const { block } = topic.includes(`/${run}/`) ? LineageRecord.decode(data) : {};
        // What a process that was killed goes on with nobody sees.
        if (block !== undefined && this.#process === process)
          this.announced.add(dagCborCid(block).toString());
        return operate("publish", () => network.publish(topic, data));
      },
      request: (...args) => operate("request", () => network.request(...args)),
      provide: (...args) => operate("provide", () => network.provide(...args)),
      putRecord: (...args) => operate("putRecord", () => network.putRecord(...args)),
      getRecord: (...args) => operate("getRecord", () => network.getRecord(...args)),
    };
  }

  async #open(process: Process, clock: Clock): Promise<void> {
    const { membership } = process;
    const { world, name } = this.#init;
    const { files, database } = this.disk;
    this.disk.onOperation = ({ kind, path, when }) => this.onOperation?.(`${when} ${kind} ${path}`);
    const isCurrent = (): boolean => this.#process === process;
    const logger = loggerOf((level, line) => {
      if (isCurrent()) this.#init.log(level, line);
    });
    const emit = (event: SwarmEvent): void => {
      if (isCurrent()) this.#init.emit(event);
    };
    const { store } = await openStore({
      files,
      database,
      clock,
      log: logger.component("store"),
      ...(this.maxBytes === Number.POSITIVE_INFINITY
        ? {}
        : { quota: { maxBytes: this.maxBytes, reclaim: true } }),
      source: (blocks) => membership.source(blocks),
    });
    const { network } = membership;
    const providers = new Set<string>();
    const holders = (): string[] => [
      ...new Set([...providers, ...network.connections().map(({ peer }) => peer)]),
    ];
    const options = (): { holders: string[]; signal: AbortSignal } => ({
      holders: holders(),
      signal: timeout(clock, FETCH_MS),
    });
    const read = (cid: CID): Promise<Uint8Array> => store.get(cid, options());
    const manifest = Manifest.decode(
      await findManifest(
        world.run,
        { clock, store, network: { ...network, dialReport: () => [] } },
        false,
        providers,
        undefined,
      ),
    );
    const { config } = manifest;
    const topology = createTopology(config);
    const geneses = manifest.genesis.map(({ version }) => version);
    await store.fetch(geneses, options());
    const genesis = new Map<string, KnownVersion>();
    for (const { module, version: cid } of manifest.genesis)
      genesis.set(module, { ...Version.decode(await read(cid)), cid });
    await store.retain("run", [
      world.run,
      ...Object.values(genesis.get(ROUTER)!.state),
      manifest.tokenizer,
      ...geneses,
    ]);
    const swarm = new Swarm({
      clock,
      random: createRandom("swarm", config.name, name, this.#starts),
      network: this.#listening(process),
      store,
      packs: createPacks(store),
      run: world.run,
      manifest,
      topology,
      genesis,
      tensors: (module) => world.tensors(module),
      sources: () => [...providers],
      keep: (object, stopping) =>
        keepObject(store, object, () => ({
          holders: holders(),
          signal: AbortSignal.any([timeout(clock, FETCH_MS), stopping]),
        })),
      trainer: createSeededTrainer({
        clock,
        label: `${config.name} ${name} ${this.#starts}`,
        config,
        stepMs: this.#init.stepMs,
        prepare: (path, signal) =>
          keepObject(store, manifest.shards[path]!.shard, () => ({ holders: holders(), signal })),
      }),
      archive: false,
      memoryBytes: 0,
      logger,
      emit,
    });
    process.swarm = swarm;
    this.#init.emit({ type: "started" });
    await swarm.start();
    process.running = true;
    this.#init.emit({ type: "restored" });
    swarm.failure.catch((error: unknown) => this.#fail(process, error));
  }
}

function loggerOf(write: (level: string, line: string) => void, name = ""): Logger {
  const at = (level: string) => (message: string) =>
    write(level, name === "" ? message : `${name}: ${message}`);
  return {
    debug: () => {},
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    component: (component) => loggerOf(write, component),
  };
}
