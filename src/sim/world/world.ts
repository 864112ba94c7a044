/**
 * A whole run under one seed: machines with peers of the production code, faults, and an intruder. First anything may
 * fail and nothing false may happen; then a core stops failing, and has to agree and finish.
 */
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { auditDisks } from "../../audit/audit.ts";
import type { LoggedEvent } from "../../audit/events.ts";
import type { AuditReport, Folder } from "../../audit/types.ts";
import { Admission } from "../../net/admission.ts";
import { createRandom, type Random } from "../../random.ts";
import { BLOCKS } from "../../store/layout.ts";
import { CHECKS } from "./checks/all.ts";
import { MemoryDisk } from "./disk.ts";
import { type Fault, scheduleFaults } from "./faults.ts";
import { Intruder } from "./intruder.ts";
import { Machine, type MachineEvent } from "./machine.ts";
import { MachineClock } from "./machine-clock.ts";
import { Marks } from "./marks.ts";
import { GOOD_LINK } from "./links.ts";
import { MemoryNetwork } from "./network.ts";
import { isOnlyCopy, pinsOn, recordsOn } from "./records.ts";
import { type Access, createConfig, createWorldRun, type WorldRun } from "./run.ts";
import { Timeline } from "./timeline.ts";
import { describe, Trace } from "./trace.ts";
import type { Ended, Outcome } from "./types.ts";

/** A process that ended by itself is started again after this time, as a service is. */
const RESTART_MS = 10_000;
/** Lines of one time that are more than any number of peers have to say. */
const MOST_LINES = 5000;
/** Share of the machines whose disk takes its time. */
const SLOW_DISKS = 0.3;
/** Share of the machines that may store little. Who is told to allow more allows half as much again. */
const SMALL_DISKS = 0.3;
/** Looks for whether the run is over. */
const LOOK_MS = 1000;
/** Agreement has to last. */
const LAST_MS = 30_000;

export interface WorldOptions {
  seed: number;
  trace?: (line: string) => void;
}

/** Lives one seed through. */
export async function live({ seed, trace }: WorldOptions): Promise<Outcome> {
  const world = new World(seed, new Trace(trace));
  return world.live();
}

class World {
  readonly #seed: number;
  readonly #trace: Trace;
  readonly #random: Random;
  readonly #timeline = new Timeline();
  readonly #network: MemoryNetwork;
  readonly #machines: Machine[] = [];
  readonly #marks = new Marks();
  readonly #log: LoggedEvent[] = [];
  /** Files of which a fault flipped a bit. */
  readonly #rotted = new Set<string>();
  readonly #broken: string[] = [];
  readonly #faults: Record<string, number> = {};
  /** Older copies of data folders, by number of the machine. */
  readonly #copies = new Map<number, MemoryDisk>();
  readonly #access: Access;
  #run!: WorldRun;
  #intruder: Intruder | undefined;
  #bootstrap = "";
  /** Lines of the trace at the present time. */
  #moment = { at: 0, lines: 0 };
  #endMs = 0;

  constructor(seed: number, trace: Trace) {
    this.#seed = seed;
    this.#trace = trace;
    this.#random = createRandom("world", seed);
    this.#access = (["open", "open", "keyed", "listed"] as const)[this.#random.integer(4)]!;
    this.#network = new MemoryNetwork({ clock: this.#timeline, random: createRandom("network", seed) });
  }

  async live(): Promise<Outcome> {
    await this.#build();
    this.#play();
    await this.#timeline.run(this.#endMs);
    const core = this.#calm();
    const { finished, unfinished } = await this.#finish(core);
    for (const machine of core) await this.#judge(machine);
    for (const machine of core) {
      machine.clock.resume();
      let stopped = false;
      void machine.stop().then(() => (stopped = true));
      await this.#timeline.run(this.#timeline.now() + 120_000, () => stopped);
    }
    const report = await this.#audit(core);
    const torn = this.#machines.flatMap(({ name, disk }) => [...disk.torn].map((path) => `${name}/${path}`));
    const rotted = new Set([...this.#rotted, ...torn]);
    const end: Ended = { report, finished, unfinished, rotted };
    for (const check of CHECKS)
      for (const problem of check.ended?.(end) ?? []) this.#break(check.name, problem);
    return {
      seed: this.#seed,
      peers: this.#machines.length,
      faults: this.#faults,
      attacks: this.#intruder?.attacks ?? 0,
      contributions: report.contributions,
      folded: report.folded,
      rejected: report.rejections,
      diedWithDisk: report.diedWithDisk,
      lost: report.lost,
      foldedTwice: report.foldedTwice,
      headsAgree: report.headsAgree && finished,
      broken: this.#broken,
      marks: this.#marks.reached(),
      milliseconds: this.#timeline.now(),
      digest: this.#trace.digest(),
    };
  }

  #break(check: string, problem: string): void {
    this.#broken.push(`${check}: ${problem}`);
    this.#say("world", `BROKEN ${check}: ${problem}`);
  }

  #say(machine: string, what: string): void {
    const now = this.#timeline.now();
    this.#trace.line(now, machine, what);
    if (this.#moment.at !== now) this.#moment = { at: now, lines: 0 };
    if (++this.#moment.lines === MOST_LINES) this.#stopSpinning(machine);
  }

  /** A peer that does the same again and again while no time passes would never let the world go on. */
  #stopSpinning(name: string): void {
    this.#break("progress", `${name} does the same for ever without waiting`);
    this.#machines.find((machine) => machine.name === name)?.kill(false);
  }

  // ---------------------------------------------------------------- the machines

  async #build(): Promise<void> {
    const random = this.#random;
    const count = 3 + random.integer(7);
    const keys = await Promise.all(Array.from({ length: count }, (_, i) => keyOf(`${this.#seed} peer ${i}`)));
    const peers = keys.map((key) => peerIdFromPrivateKey(key).toString());
    const config = createConfig(this.#seed, random, this.#access, peers);
    this.#run = createWorldRun(config, peers[0]!);
    const { grid, replicas, swarm, training, outer } = config;
    this.#say(
      "world",
      `seed ${this.#seed}: ${this.#access}, ${count} peers, grid ${grid.join("x")}, ${replicas} replicas, ` +
        `${training.rounds} rounds, verify ${swarm.verify}, staleness ${outer.maxStaleness}, codec ${outer.codec}`,
    );
    const bootstrap = this.#network.join({
      privateKey: await keyOf(`${this.#seed} bootstrap`),
      ...(this.#access === "keyed" ? { swarmKey: "key" } : {}),
    });
    this.#bootstrap = bootstrap.network.peerId;
    const stepMs = 2000 + 3000 * random.uniform();
    for (const [index, privateKey] of keys.entries()) {
      const name = `peer-${index}`;
      const clock = new MachineClock({
        timeline: this.#timeline,
        since: Math.floor(1e7 * random.uniform()),
        drift: (random.uniform() - 0.5) * 2e-4,
      });
      const disk = new MemoryDisk({
        clock: clock.open().clock,
        random: createRandom("disk", this.#seed, index),
      });
      const machine: Machine = new Machine({
        name,
        privateKey,
        peer: peers[index]!,
        disk,
        clock,
        network: this.#network,
        joining: {
          bootstrap: bootstrap.network.addresses(),
          ...(this.#access === "keyed" ? { swarmKey: "key" } : {}),
          ...(this.#access === "listed" ? { admission: this.#admission(peers) } : {}),
        },
        world: this.#run,
        stepMs: stepMs * (0.5 + random.uniform()),
        log: (level, line) => {
          this.#marks.line(line);
          this.#say(name, `${level} ${line}`);
        },
        emit: (event) => this.#hear(machine, event),
      });
      this.#machines.push(machine);
    }
    await this.#machines[0]!.create();
    const disks = createRandom("disks", this.#seed);
    for (const machine of this.#machines) {
      if (disks.uniform() < SLOW_DISKS) machine.disk.latencyMs = 20 * 50 ** disks.uniform();
      if (disks.uniform() < SMALL_DISKS) machine.maxBytes = 5000 * 6 ** disks.uniform();
    }
    if (random.uniform() < 0.6)
      this.#intruder = new Intruder({
        privateKey: await keyOf(`${this.#seed} intruder`),
        clock: this.#timeline,
        random: createRandom("intruder", this.#seed),
        network: this.#network,
        bootstrap: bootstrap.network.addresses(),
        world: this.#run,
        say: (what) => {
          this.#marks.reach("an attack was tried");
          this.#say("intruder", what);
        },
      });
    const slots = Math.ceil((this.#run.topology.paths * replicas) / count);
    const roundMs = slots * (1.2 * stepMs * training.innerSteps + 2000);
    this.#endMs = Math.round((0.5 + 0.5 * random.uniform()) * training.rounds * roundMs);
  }

  #admission(peers: string[]): Admission {
    const admission = new Admission([this.#bootstrap]);
    admission.restrict(peers);
    return admission;
  }

  #hear(machine: Machine, event: MachineEvent): void {
    const at = this.#timeline.now();
    const { name } = machine;
    if (event.type === "ended") {
      this.#say(name, `ended: ${event.reason}`);
      this.#marks.reach("a disk ended a process");
      this.#logFault("kill", [machine]);
      if (event.reason.includes("--max-disk")) machine.maxBytes *= 1.5;
      this.#timeline.after(RESTART_MS, () => this.#start(machine));
      return;
    }
    if (event.type === "started") {
      this.#say(name, "started");
      this.#log.push({ at, peer: name, event: { type: "started", peer: machine.peer } as { type: string } });
      return;
    }
    if (event.type === "restored") {
      void this.#judge(machine);
      return;
    }
    this.#log.push({ at, peer: name, event });
    this.#marks.event(event);
    const line = describe(event);
    if (line !== undefined) this.#say(name, line);
  }

  async #judge(machine: Machine): Promise<void> {
    const { swarm, name, peer } = machine;
    if (swarm === undefined) return;
    // As it is now: what the peer announces while its disk is read is not among what is found there.
    const announced = new Set(machine.announced);
    const copy = machine.disk.clone({ clock: this.#timeline, random: this.#random });
    const records = await recordsOn(copy);
    const isSound = (path: string): boolean => !this.#rotted.has(`${name}/${path}`);
    const pins = await pinsOn(copy, this.#timeline);
    const harmed = pins.harmed.filter(isSound);
    const missing = pins.missing.filter(({ path }) => isSound(path));
    const { maxStaleness } = this.#run.manifest.config.outer;
    const restored = { name, peer, swarm, maxStaleness, announced, records, harmed, missing };
    for (const check of CHECKS)
      for (const problem of check.restored?.(restored) ?? []) this.#break(check.name, problem);
  }

  #start(machine: Machine): void {
    if (machine.isUp) return;
    this.#logFault("restart", [machine]);
    machine.start();
  }

  // ---------------------------------------------------------------- faults

  #logFault(kind: string, machines: readonly Machine[]): void {
    this.#log.push({
      at: this.#timeline.now(),
      fault: { kind, peers: machines.map(({ name }) => name) },
    });
  }

  /** Sets everything in motion. */
  #play(): void {
    for (const [index, machine] of this.#machines.entries())
      this.#timeline.after(index === 0 ? 0 : 500 + 3000 * this.#random.uniform(), () => machine.start());
    for (const fault of scheduleFaults({
      random: createRandom("faults", this.#seed),
      machines: this.#machines.length,
      endMs: this.#endMs,
    })) {
      this.#timeline.after(fault.at, () => void this.#spareOrStrike(fault));
      if (fault.until > fault.at) this.#timeline.after(fault.until, () => this.#relieve(fault));
    }
    for (const machine of this.#machines.keys())
      this.#timeline.after(this.#endMs * 0.3 * this.#random.uniform(), () => {
        const { disk } = this.#machines[machine]!;
        this.#copies.set(machine, disk.clone());
      });
    this.#intruder?.play(this.#endMs);
  }

  /** No fault takes the only copy of a version, which the run is not promised to outlive (docs/design.md, section 4). */
  async #spareOrStrike(fault: Fault): Promise<void> {
    const machine = this.#machines[fault.machines[0]!]!;
    if (fault.kind === "wipe" || fault.kind === "rollback") {
      const others = this.#machines.filter((other) => other !== machine).map(({ disk }) => disk);
      const copy = machine.disk.clone({ clock: this.#timeline, random: this.#random });
      if (await isOnlyCopy(copy, others, this.#timeline))
        return this.#say("world", `no ${fault.kind}: ${machine.name} has the only copy of a version`);
    }
    this.#strike(fault);
  }

  #strike(fault: Fault): void {
    const machines = fault.machines.map((index) => this.#machines[index]!);
    const [machine] = machines as [Machine];
    const { kind } = fault;
    const names = machines.map(({ name }) => name).join(" ");
    this.#faults[kind] = (this.#faults[kind] ?? 0) + 1;
    this.#marks.reach(`fault: ${kind}`);
    this.#say("world", `fault ${kind} ${names}${kind === "clock" ? ` by ${fault.by} ms` : ""}`);
    switch (kind) {
      case "kill":
      case "power":
        this.#logFault("kill", machines);
        machine.kill(kind === "power");
        break;
      case "restart":
        this.#logFault("stop", machines);
        void machine.stop();
        break;
      case "pause":
      case "suspend":
        this.#logFault("pause", machines);
        machine.clock.stop(kind === "pause" ? "paused" : "suspended");
        this.#network.pause(machine.peer);
        break;
      case "partition": {
        this.#logFault("partition", machines);
        const side = new Set(machines.map(({ peer }) => peer));
        const others = this.#everybody().filter((peer) => !side.has(peer));
        this.#network.part([[...side], others]);
        break;
      }
      case "slow":
        this.#network.shape({ latencyMs: [200, 2000], bytesPerSecond: 4000 }, machine.peer);
        break;
      case "lossy":
        this.#network.shape({ loss: 0.1, duplication: 0.1, reordering: 0.2 });
        break;
      case "wipe":
        this.#logFault("wipe", machines);
        machine.wipe();
        break;
      case "full":
        machine.disk.limit(machine.disk.used + 2000);
        break;
      case "flip":
        this.#damage(machine);
        this.#rot(machine, machine.disk.flipBit(this.#random));
        break;
      case "clock":
        machine.clock.set(fault.by);
        break;
      case "rollback": {
        this.#damage(machine);
        this.#logFault("kill", machines);
        machine.kill(false);
        const copy = this.#copies.get(fault.machines[0]!);
        if (copy === undefined) break;
        const { latencyMs } = machine.disk;
        machine.disk = copy.clone();
        machine.disk.latencyMs = latencyMs;
        break;
      }
    }
  }

  #rot({ name }: Machine, file: string | undefined): void {
    this.#say("world", `a bit of ${file}`);
    this.#rotted.add(`${name}/${file}`);
  }

  /** From now on what the machine had need not be there: as with a lost disk, the auditor is told. */
  #damage(machine: Machine): void {
    this.#logFault("wipe", [machine]);
    this.#logFault("restart", [machine]);
    machine.announced.clear();
  }

  #relieve({ kind, machines: struck }: Fault): void {
    const machines = struck.map((index) => this.#machines[index]!);
    const [machine] = machines as [Machine];
    this.#say("world", `end of ${kind} ${machines.map(({ name }) => name).join(" ")}`);
    switch (kind) {
      case "pause":
      case "suspend":
        this.#logFault("resume", machines);
        this.#wake(machine);
        break;
      case "partition":
        this.#logFault("heal", this.#machines);
        this.#network.heal();
        break;
      case "slow":
        this.#network.unshape();
        break;
      case "lossy":
        this.#network.shape(GOOD_LINK);
        break;
      case "full":
        machine.disk.limit(Number.POSITIVE_INFINITY);
        break;
      default:
        this.#start(machine);
    }
  }

  #wake(machine: Machine): void {
    machine.clock.resume();
    this.#network.resume(machine.peer);
  }

  #everybody(): string[] {
    const peers = [this.#bootstrap, ...this.#machines.map(({ peer }) => peer)];
    return this.#intruder === undefined ? peers : [...peers, this.#intruder.peer];
  }

  // ---------------------------------------------------------------- the end

  /** Ends all faults; some machines never come back. Returns the core, which has to finish. */
  #calm(): Machine[] {
    const random = createRandom("core", this.#seed);
    const gone = random.integer(Math.ceil(this.#machines.length / 3));
    const order = random.shuffle([...this.#machines]);
    // The creator's data is nowhere else at first.
    const lost = new Set(order.filter(({ name }) => name !== "peer-0").slice(0, gone));
    this.#say("world", `calm, without ${[...lost].map(({ name }) => name).join(" ") || "a loss"}`);
    this.#network.heal();
    this.#network.shape(GOOD_LINK);
    this.#network.unshape();
    this.#logFault("heal", this.#machines);
    const core: Machine[] = [];
    for (const machine of this.#machines) {
      machine.disk.limit(Number.POSITIVE_INFINITY);
      this.#wake(machine);
      this.#logFault("resume", [machine]);
      if (lost.has(machine)) {
        machine.kill(true);
        this.#logFault("wipe", [machine]);
        continue;
      }
      core.push(machine);
      this.#start(machine);
    }
    return core;
  }

  async #finish(core: readonly Machine[]): Promise<Pick<Ended, "finished" | "unfinished">> {
    const { rounds, innerSteps } = this.#run.manifest.config.training;
    const { graceSeconds, leaseSeconds } = this.#run.manifest.config.swarm;
    const { replicas } = this.#run.manifest.config;
    const slots = Math.ceil((this.#run.topology.paths * replicas) / core.length);
    const roundMs = slots * innerSteps * 9000 + 1000 * (graceSeconds + leaseSeconds);
    const limit = this.#timeline.now() + 600_000 + rounds * roundMs;
    const headsOf = (machine: Machine): string =>
      machine.swarm
        ?.heads()
        .map(({ cid }) => cid)
        .join() ?? "none";
    let since: number | undefined;
    const isOver = (): boolean => {
      const heads = new Set(core.map(headsOf));
      const over =
        heads.size === 1 && core.every(({ swarm }) => swarm !== undefined && swarm.coordinator.done());
      since = over ? (since ?? this.#timeline.now()) : undefined;
      return since !== undefined && this.#timeline.now() - since >= LAST_MS;
    };
    while (this.#timeline.now() < limit && !isOver())
      await this.#timeline.run(this.#timeline.now() + LOOK_MS);
    if (isOver()) return { finished: true, unfinished: [] };
    const unfinished = core.map((machine) => {
      const heads = machine.swarm
        ?.heads()
        .map(({ module, generation, cid }) => `${module} ${generation} ${cid.slice(-6)}`);
      return `${machine.name} is ${machine.swarm?.coordinator.done() === true ? "done" : "not done"} at ${heads?.join(", ") ?? "nothing"}`;
    });
    return { finished: false, unfinished };
  }

  async #audit(core: readonly Machine[]): Promise<AuditReport> {
    const folders = core.map(({ name, disk }): Folder => {
      const { files } = disk.clone({ clock: this.#timeline, random: this.#random });
      return {
        name,
        async blocks() {
          const paths: string[] = [];
          for await (const path of files.list(BLOCKS)) paths.push(path);
          return paths;
        },
        read: (path) => files.read(path),
      };
    });
    const log = this.#log;
    const events = (async function* () {
      yield* log;
    })();
    return auditDisks({ directories: folders, events });
  }
}

function keyOf(label: string) {
  return generateKeyPairFromSeed("Ed25519", Buffer.alloc(32, label));
}
