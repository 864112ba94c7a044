/** Who lives in a world: the run, its machines, the node that they meet at, and who wants the run to fail. */
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { Admission } from "../../net/admission.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import { createRandom, type Random } from "../../random.ts";
import type { Chronicle } from "./chronicle.ts";
import { MemoryDisk } from "./disk.ts";
import { Intruder } from "./intruder.ts";
import { Machine, type MachineEvent } from "./machine.ts";
import { MachineClock } from "./machine-clock.ts";
import type { JoinOptions, MemoryNetwork } from "./network.ts";
import { type Access, createConfig, createWorldRun, type WorldRun } from "./run.ts";
import type { Timeline } from "./timeline.ts";

/** Share of the worlds that somebody attacks. */
const ATTACKED = 0.6;
const MOST_IDENTITIES = 50;
const SWARM_KEY = "key";
/** Share of the machines whose disk takes its time. */
const SLOW_DISKS = 0.3;
/** Share of the machines that may store little. Who is told to allow more allows half as much again. */
const SMALL_DISKS = 0.3;

export interface PopulationInit {
  seed: number;
  random: Random;
  timeline: Timeline;
  network: MemoryNetwork;
  chronicle: Chronicle;
  /** Hears what a machine tells of its process. */
  hear(machine: Machine, event: MachineEvent): void;
  /** A run of that size, with good disks and nobody who attacks it. */
  quiet?: { peers: number; rounds: number };
  /** Gives some machines a slow disk, and some little room. */
  poorDisks?: boolean;
}

interface Identities {
  access: Access;
  keys: PrivateKey[];
  intruders: PrivateKey[];
  stranger: PrivateKey;
  bootstrap: PrivateKey;
}

interface Inhabitant {
  name: string;
  privateKey: PrivateKey;
  /** Time of one training step, in ms. */
  stepMs: number;
  /** Whose content its own has at first. @default none */
  disk?: MemoryDisk;
  /** @default ours */
  protocol?: number;
}

export class Population {
  /** Those that are there from the beginning. */
  readonly machines: readonly Machine[];
  readonly run: WorldRun;
  readonly intruder: Intruder | undefined;
  /** About how long the run takes while nothing goes wrong, in ms. */
  readonly usualMs: number;
  readonly #init: PopulationInit;
  readonly #bootstrap: string[];
  readonly #keys: ReadonlyMap<Machine, PrivateKey>;
  readonly #strangerKey: PrivateKey;
  readonly #stepMs: number;
  readonly #access: Access;
  readonly #peers: string[];
  /** Who came later. */
  readonly #guests: Machine[] = [];

  static async settle(init: PopulationInit): Promise<Population> {
    const { seed, random, quiet } = init;
    const access = (["open", "open", "keyed", "listed"] as const)[random.integer(4)]!;
    const count = quiet?.peers ?? 3 + random.integer(7);
    const identities =
      quiet === undefined && random.uniform() < ATTACKED
        ? Math.floor((MOST_IDENTITIES + 1) ** random.uniform())
        : 0;
    const keysOf = (label: string, many: number): Promise<PrivateKey[]> =>
      Promise.all(Array.from({ length: many }, (_, index) => keyOf(`${seed} ${label} ${index}`)));
    const population = new Population(init, {
      access,
      keys: await keysOf("peer", count),
      intruders: await keysOf("intruder", identities),
      stranger: await keyOf(`${seed} stranger`),
      bootstrap: await keyOf(`${seed} bootstrap`),
    });
    await population.machines[0]!.create();
    if (init.poorDisks !== true) return population;
    const disks = createRandom("disks", seed);
    for (const machine of population.machines) {
      if (disks.uniform() < SLOW_DISKS) machine.disk.latencyMs = 10 * 20 ** disks.uniform();
      if (disks.uniform() < SMALL_DISKS) machine.maxBytes = 5000 * 6 ** disks.uniform();
    }
    return population;
  }

  private constructor(init: PopulationInit, who: Identities) {
    this.#init = init;
    this.#access = who.access;
    this.#strangerKey = who.stranger;
    const { seed, random, network, timeline, chronicle, quiet } = init;
    const { access, keys } = who;
    const peers = keys.map((key) => peerIdFromPrivateKey(key).toString());
    this.#peers = [peerIdFromPrivateKey(who.bootstrap).toString(), ...peers];
    const config = createConfig(seed, random, access, peers, quiet?.rounds);
    this.run = createWorldRun(config, peers[0]!);
    const { grid, replicas, swarm, training, outer } = config;
    chronicle.say(
      "world",
      `seed ${seed}: ${access}, ${keys.length} peers, grid ${grid.join("x")}, ${replicas} replicas, ` +
        `${training.rounds} rounds, verify ${swarm.verify}, staleness ${outer.maxStaleness}, codec ${outer.codec}`,
    );
    // It takes part in no run, so it lets in whoever can connect.
    const { swarmKey } = this.#entrance();
    const bootstrap = network.join({
      privateKey: who.bootstrap,
      ...(swarmKey === undefined ? {} : { swarmKey }),
    });
    this.#bootstrap = bootstrap.network.addresses();
    this.#stepMs = 2000 + 3000 * random.uniform();
    this.#keys = new Map(
      keys.map((privateKey, index) => {
        const stepMs = this.#stepMs * (0.5 + random.uniform());
        return [this.#inhabit({ name: `peer-${index}`, privateKey, stepMs }), privateKey];
      }),
    );
    this.machines = [...this.#keys.keys()];
    const slots = Math.ceil((this.run.topology.paths * replicas) / keys.length);
    this.usualMs = training.rounds * slots * (1.2 * this.#stepMs * training.innerSteps + 2000);
    if (who.intruders.length > 0)
      this.intruder = new Intruder({
        privateKeys: who.intruders,
        clock: timeline,
        random: createRandom("intruder", seed),
        network,
        bootstrap: this.#bootstrap,
        world: this.run,
        say: (what) => {
          chronicle.marks.reach(`attack: ${what}`);
          chronicle.say("intruder", what);
        },
      });
  }

  /** Peer ids of all that are connected with something. */
  everybody(): string[] {
    return [...this.#peers, ...(this.intruder?.peers ?? [])];
  }

  /** By name, also who came later. */
  find(name: string): Machine | undefined {
    return [...this.machines, ...this.#guests].find((machine) => machine.name === name);
  }

  /** A second machine, on a copy of the data folder of one, its key included. */
  twinOf(machine: Machine): Machine {
    return this.#invite({
      name: `${machine.name}-twin`,
      privateKey: this.#keys.get(machine)!,
      stepMs: this.#stepMs,
      disk: machine.disk,
    });
  }

  /** A machine with the next version of Pathweave, which has found the invite. */
  stranger(): Machine {
    return this.#invite({
      name: "stranger",
      privateKey: this.#strangerKey,
      stepMs: this.#stepMs,
      protocol: PROTOCOL + 1,
    });
  }

  #invite(who: Inhabitant): Machine {
    const guest = this.#inhabit({ ...who, name: `${who.name}-${this.#guests.length}` });
    this.#guests.push(guest);
    return guest;
  }

  #inhabit({ name, privateKey, stepMs, disk, protocol }: Inhabitant): Machine {
    const { seed, random, timeline, network, chronicle, hear } = this.#init;
    const clock = new MachineClock({
      timeline,
      since: Math.floor(1e7 * random.uniform()),
      drift: (random.uniform() - 0.5) * 2e-4,
    });
    const own = { clock: clock.open().clock, random: createRandom("disk", seed, name) };
    const machine: Machine = new Machine({
      name,
      privateKey,
      peer: peerIdFromPrivateKey(privateKey).toString(),
      disk: disk?.clone(own) ?? new MemoryDisk(own),
      clock,
      network,
      joining: {
        bootstrap: this.#bootstrap,
        ...this.#entrance(),
        ...(protocol === undefined ? {} : { protocol }),
      },
      world: this.run,
      stepMs,
      log: (level, line) => chronicle.line(name, level, line),
      emit: (event) => hear(machine, event),
    });
    return machine;
  }

  /** What lets a peer in. */
  #entrance(): Pick<JoinOptions, "swarmKey" | "admission"> {
    if (this.#access === "keyed") return { swarmKey: SWARM_KEY };
    if (this.#access === "open") return {};
    const [bootstrap, ...peers] = this.#peers;
    const admission = new Admission([bootstrap!]);
    admission.restrict(peers);
    return { admission };
  }
}

function keyOf(label: string): Promise<PrivateKey> {
  return generateKeyPairFromSeed("Ed25519", Buffer.alloc(32, label));
}
