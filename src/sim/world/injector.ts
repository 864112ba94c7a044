/** Carries out the faults of a world on its machines and their network, and ends them. */
import { matches } from "../../objects/object.ts";
import type { Random } from "../../random.ts";
import { blockPath } from "../../store/layout.ts";
import type { Chronicle } from "./chronicle.ts";
import type { MemoryDisk } from "./disk.ts";
import { type Fault, type FaultKind, scheduleFaults } from "./faults.ts";
import { GOOD_LINK } from "./links.ts";
import type { Machine } from "./machine.ts";
import type { MemoryNetwork } from "./network.ts";
import type { Population } from "./population.ts";
import type { Timeline } from "./timeline.ts";

const SLOW = { latencyMs: [200, 2000], bytesPerSecond: 4000 } as const;
const LOSSY = { loss: 0.1, duplication: 0.1, reordering: 0.2 };
/** How long a machine is without power that is cut off at one operation. */
const OUTAGE_MS = 5000;
/** Room that is left on a disk that is full. */
const ROOM_BYTES = 2000;
/** After which part of the faults' time the copies of data folders have been made, for later. */
const COPIED = 0.3;

export interface InjectorInit {
  /** Decides on what there is to decide when a fault strikes. */
  random: Random;
  timeline: Timeline;
  network: MemoryNetwork;
  population: Population;
  chronicle: Chronicle;
}

export class Injector {
  /** Faults that have struck, by kind. */
  readonly struck: Record<string, number> = {};
  /** Files of which a bit was flipped, with the names of their machines before them. */
  readonly rotted = new Set<string>();
  readonly #init: InjectorInit;
  readonly #copies = new Map<Machine, MemoryDisk>();
  /** Who is there only as long as a fault. */
  readonly #guests = new Map<Fault, Machine>();

  constructor(init: InjectorInit) {
    this.#init = init;
  }

  /** Plans all faults of the seed. */
  plan(random: Random, endMs: number): void {
    const { timeline, population } = this.#init;
    for (const fault of scheduleFaults({ random, machines: population.machines.length, endMs }))
      timeline.after(fault.at, () => {
        if (!this.#strike(fault)) return;
        if (fault.until > fault.at) timeline.after(fault.until - fault.at, () => this.#relieve(fault));
      });
    for (const machine of population.machines)
      timeline.after(endMs * COPIED * random.uniform(), () =>
        this.#copies.set(machine, machine.disk.clone()),
      );
  }

  /** Ends a process now, with all that is not flushed, and starts it again after a while. */
  cutPower(machine: Machine): void {
    const { chronicle, timeline } = this.#init;
    chronicle.fault("kill", [machine]);
    machine.kill(true);
    timeline.after(OUTAGE_MS, () => this.start(machine));
  }

  /** Starts a machine that is down. */
  start(machine: Machine): void {
    if (machine.isUp) return;
    this.#init.chronicle.fault("restart", [machine]);
    machine.start();
  }

  /** Ends all faults. Some machines never come back; returns the others. */
  calm(random: Random): Machine[] {
    const { chronicle, network, population } = this.#init;
    const { machines } = population;
    for (const fault of this.#guests.keys()) this.#relieve(fault);
    network.heal();
    network.shape(GOOD_LINK);
    network.unshape();
    chronicle.fault("heal", machines);
    for (const machine of machines) {
      machine.disk.limit(Number.POSITIVE_INFINITY);
      this.#wake(machine);
      chronicle.fault("resume", [machine]);
    }
    const gone = new Set<Machine>();
    const number = random.integer(Math.ceil(machines.length / 3));
    for (const machine of random.shuffle([...machines]))
      if (gone.size < number && this.#isSpare(machine)) {
        gone.add(machine);
        machine.wipe();
        chronicle.fault("wipe", [machine]);
      }
    chronicle.say("world", `calm, without ${[...gone].map(({ name }) => name).join(" ") || "a loss"}`);
    const core = machines.filter((machine) => !gone.has(machine));
    for (const machine of core) this.start(machine);
    return core;
  }

  /** Returns false for a fault that would lose what no swarm could bring back. */
  #strike(fault: Fault): boolean {
    const { chronicle, network, population, random } = this.#init;
    const machines = fault.machines.map((index) => population.machines[index]!);
    const [machine] = machines as [Machine];
    const { kind } = fault;
    if (HARMFUL.has(kind) && !this.#isSpare(machine)) return false;
    const names = machines.map(({ name }) => name).join(" ");
    this.struck[kind] = (this.struck[kind] ?? 0) + 1;
    chronicle.marks.reach(`fault: ${kind}`);
    chronicle.say("world", `fault ${kind} ${names}${kind === "clock" ? ` by ${fault.by} ms` : ""}`);
    switch (kind) {
      case "kill":
      case "power":
        chronicle.fault("kill", machines);
        machine.kill(kind === "power");
        break;
      case "restart":
        chronicle.fault("stop", machines);
        void machine.stop();
        break;
      case "pause":
      case "suspend":
        chronicle.fault("pause", machines);
        machine.clock.stop(kind === "pause" ? "paused" : "suspended");
        network.pause(machine.peer);
        break;
      case "partition": {
        chronicle.fault("partition", machines);
        const side = new Set(machines.map(({ peer }) => peer));
        network.part([[...side], population.everybody().filter((peer) => !side.has(peer))]);
        break;
      }
      case "slow":
        network.shape(SLOW, machine.peer);
        break;
      case "lossy":
        network.shape(LOSSY);
        break;
      case "wipe":
        chronicle.fault("wipe", machines);
        machine.wipe();
        break;
      case "full":
        machine.disk.limit(machine.disk.used + ROOM_BYTES);
        break;
      case "flip": {
        this.#damage(machine);
        const file = machine.disk.flipBit(random);
        chronicle.say("world", `a bit of ${file}`);
        this.rotted.add(`${machine.name}/${file}`);
        break;
      }
      case "clock":
        machine.clock.set(fault.by);
        break;
      case "rollback": {
        this.#damage(machine);
        chronicle.fault("kill", machines);
        machine.kill(false);
        const copy = this.#copies.get(machine);
        if (copy === undefined) break;
        const { latencyMs } = machine.disk;
        machine.disk = copy.clone();
        machine.disk.latencyMs = latencyMs;
        break;
      }
      case "clone":
      case "stranger": {
        const guest = kind === "clone" ? population.twinOf(machine) : population.stranger();
        this.#guests.set(fault, guest);
        guest.start();
        break;
      }
    }
    return true;
  }

  /** From now on what the machine had need not be there: as with a lost disk, the auditor is told. */
  #damage(machine: Machine): void {
    this.#init.chronicle.fault("wipe", [machine]);
    this.#init.chronicle.fault("restart", [machine]);
    machine.announced.clear();
  }

  #relieve(fault: Fault): void {
    const { chronicle, network, population } = this.#init;
    const { kind } = fault;
    const machines = fault.machines.map((index) => population.machines[index]!);
    const [machine] = machines as [Machine];
    const guest = this.#guests.get(fault);
    chronicle.say("world", `end of ${kind} ${machines.map(({ name }) => name).join(" ")}`);
    switch (kind) {
      case "pause":
      case "suspend":
        chronicle.fault("resume", machines);
        this.#wake(machine);
        break;
      case "partition":
        chronicle.fault("heal", population.machines);
        network.heal();
        break;
      case "slow":
        network.unshape();
        break;
      case "lossy":
        network.shape(GOOD_LINK);
        break;
      case "full":
        machine.disk.limit(Number.POSITIVE_INFINITY);
        break;
      case "clone":
      case "stranger":
        if (guest === undefined) break;
        this.#guests.delete(fault);
        chronicle.fault("wipe", [guest]);
        guest.wipe();
        break;
      default:
        this.start(machine);
    }
  }

  #wake(machine: Machine): void {
    machine.clock.resume();
    this.#init.network.resume(machine.peer);
  }

  /** Whether what it has of what the manifest names is whole on another disk, too: nothing brings that back. */
  #isSpare(machine: Machine): boolean {
    const { machines, run } = this.#init.population;
    const others = machines.filter((other) => other !== machine);
    return run.blocks.every(({ cid }) => {
      const path = blockPath(cid);
      const isOn = ({ disk }: Machine): boolean => {
        const bytes = disk.peek(path);
        return bytes !== undefined && matches(cid, bytes);
      };
      return !isOn(machine) || others.some(isOn);
    });
  }
}

/** Faults after which a disk lacks what it had. */
const HARMFUL: ReadonlySet<FaultKind> = new Set(["wipe", "flip", "rollback"]);
