/**
 * A bootstrap process and several peer processes on loopback TCP. It starts them, follows what they print, and stops
 * them; it takes no part in what they do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CID } from "multiformats/cid";
import { NetworkError } from "../src/errors.ts";
import type { Level } from "../src/log.ts";
import { encodeInvite } from "../src/run/invite.ts";
import type { SessionEvent } from "./peer-session.ts";
import { readEvent } from "./session-events.ts";

const PEER = fileURLToPath(new URL("./pathweave.ts", import.meta.url));
const BOOTSTRAP = fileURLToPath(new URL("../bootstrap/pathweave-bootstrap.ts", import.meta.url));
const START_MS = 60_000;
/** For a peer to end in order. */
export const STOP_MS = 20_000;

/** How a process of a local swarm is started. */
export interface Launch {
  /** Runs Node.js: what comes before the script on its command line. */
  command: string[];
  /** Added to the environment. */
  environment: Record<string, string>;
  /** Multiaddr. */
  listen: string;
}

export const directly = (): Launch => ({
  command: [process.execPath],
  environment: {},
  listen: "/ip4/127.0.0.1/tcp/0",
});

export interface LocalSwarmInit {
  /** Peers live in `peer-1`, `peer-2`, … below it; `peer-1` already holds the run. */
  directory: string;
  peers: number;
  run: CID;
  logLevel: Level;
  /** How its processes are started; on loopback, each with this Node.js, when absent. */
  launch?: (name: string) => Launch;
  signal: AbortSignal;
}

/** One peer process, as its events tell. */
export class PeerProcess {
  readonly name: string;
  readonly heads = new Map<string, string>();
  readonly generations = new Map<string, number>();
  /** Versions and objects of the manifest, by CID, that this process brought to its disk, where they outlive it. */
  readonly holds = new Set<string>();
  done = false;
  bytesUp = 0;
  bytesDown = 0;
  readonly #child: ChildProcess;
  readonly #events: EventEmitter<{ event: [PeerProcess, SessionEvent]; exit: [PeerProcess] }>;
  readonly #exited: Promise<unknown>;
  readonly #ready = Promise.withResolvers<void>();
  #stopping = false;

  constructor(name: string, launch: Launch, args: string[], events: PeerProcess["events"]) {
    this.name = name;
    this.#events = events;
    this.#child = spawnNode(launch, [PEER, ...args, "--listen", launch.listen]);
    this.#exited = once(this.#child, "exit").then(() => {
      this.#ready.reject(new NetworkError(`${name} ended before it was ready, with ${this.exit}.`));
      events.emit("exit", this);
    });
    const late = new NetworkError(
      `${name} was not ready within ${START_MS / 1000} s; see what it printed above.`,
    );
    const deadline = setTimeout(() => this.#ready.reject(late), START_MS);
    this.#ready.promise.catch(() => {}).finally(() => clearTimeout(deadline));
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#read(line));
  }

  get events(): EventEmitter<{ event: [PeerProcess, SessionEvent]; exit: [PeerProcess] }> {
    return this.#events;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  get exit(): string {
    return `exit code ${this.#child.exitCode ?? this.#child.signalCode}`;
  }

  /** Resolves when its disk and its network are open. Throws NetworkError when it ends before, or takes over a minute. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Asks for an orderly end; forces it after 20 s. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.running) this.#child.kill("SIGINT");
    const force = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    await this.#exited;
    clearTimeout(force);
  }

  /** Stops it in its tracks, with all connections open, until `resume`. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.#stopping = true;
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  #read(line: string): void {
    const event = readEvent(line);
    if (event === undefined) return;
    if (event.type === "started") this.#ready.resolve();
    else if (event.type === "version" || event.type === "kept") this.holds.add(event.cid);
    else if (event.type === "head") {
      this.heads.set(event.module, event.cid);
      this.generations.set(event.module, event.generation);
      this.done = false;
    } else if (event.type === "done") this.done = true;
    else if (event.type === "stopped") {
      this.bytesUp = event.bytesUp;
      this.bytesDown = event.bytesDown;
    }
    this.#events.emit("event", this, event);
  }
}

export interface LocalSwarm {
  /** Joins the run through the bootstrap node only. */
  readonly invite: string;
  readonly peers: readonly PeerProcess[];
  onEvent(listener: (peer: PeerProcess, event: SessionEvent) => void): void;
  /** Steps of a path that are done in all rounds, and its latest loss. */
  pathProgress(path: number, innerSteps: number): { done: number; loss: number | undefined };
  /** Outer updates so far, over all modules. */
  generations(): number;
  /** Resolves when every running peer says that the run is complete. Throws NetworkError when one ends before. */
  complete(signal: AbortSignal): Promise<void>;
  /** Resolves when all running peers name the same heads. Throws NetworkError when one ends before. */
  agree(signal: AbortSignal): Promise<void>;
  /** Starts a peer, anew or again after it was killed. */
  start(name: string, args?: string[]): PeerProcess;
  stop(): Promise<void>;
  /** Bytes of blocks that the peers exchanged, as they said when they stopped in order. */
  transferred(): { bytesUp: number; bytesDown: number };
}

export async function startLocalSwarm(init: LocalSwarmInit): Promise<LocalSwarm> {
  const { directory, signal } = init;
  const events: EventEmitter<{ event: [PeerProcess, SessionEvent]; exit: [PeerProcess] }> =
    new EventEmitter();
  const launch = init.launch ?? directly;
  const gate = launch("bootstrap");
  const data = path.join(directory, "bootstrap");
  const bootstrap = spawnNode(gate, [BOOTSTRAP, "--listen", gate.listen, "--data", data, "--json"]);
  const stopBootstrap = async (): Promise<void> => {
    if (bootstrap.exitCode !== null || bootstrap.signalCode !== null) return;
    bootstrap.kill("SIGINT");
    await once(bootstrap, "exit");
  };
  let addresses: string[];
  try {
    addresses = await listening(bootstrap, AbortSignal.any([signal, AbortSignal.timeout(START_MS)]));
  } catch (error) {
    await stopBootstrap();
    throw error;
  }
  const invite = encodeInvite({ run: init.run, bootstrap: addresses });
  const steps = new Map<string, number>();
  const losses = new Map<number, number>();
  const rounds = new Map<number, number>();
  events.on("event", (_peer, event) => {
    if (event.type === "step") {
      steps.set(`${event.path}/${event.round}`, event.step);
      losses.set(event.path, event.loss);
    }
    if (event.type === "lease" && event.state === "completed")
      rounds.set(event.path, Math.max(rounds.get(event.path) ?? 0, event.round + 1));
  });

  const peers: PeerProcess[] = [];
  const start = (name: string, args: string[] = []): PeerProcess => {
    const threads = ["--threads", "1"];
    const own = ["join", invite, "--data", path.join(directory, name), "--no-mdns", "--archive"];
    const peer = new PeerProcess(
      name,
      launch(name),
      [...own, ...threads, "--json", "--log-level", init.logLevel, ...args],
      events,
    );
    const again = peers.findIndex((known) => known.name === name);
    if (again >= 0) peers[again] = peer;
    else peers.push(peer);
    return peer;
  };
  for (let index = 1; index <= init.peers; index++) start(`peer-${index}`);

  const stop = async (): Promise<void> => {
    await Promise.all(peers.map((peer) => peer.stop()));
    await stopBootstrap();
  };

  return {
    invite,
    peers,
    onEvent: (listener) => void events.on("event", listener),
    pathProgress(path, innerSteps) {
      const round = rounds.get(path) ?? 0;
      return { done: round * innerSteps + (steps.get(`${path}/${round}`) ?? 0), loss: losses.get(path) };
    },
    generations: () =>
      [...(peers[0]?.generations.keys() ?? [])]
        .map((module) => Math.max(...peers.map((peer) => peer.generations.get(module) ?? 0)))
        .reduce((a, b) => a + b, 0),
    complete: (end) =>
      until(peers, events, AbortSignal.any([end, signal]), (running) => running.every(({ done }) => done)),
    agree: (end) => until(peers, events, AbortSignal.any([end, signal]), headsAgree),
    start,
    stop,
    transferred: () => ({
      bytesUp: peers.reduce((sum, peer) => sum + peer.bytesUp, 0),
      bytesDown: peers.reduce((sum, peer) => sum + peer.bytesDown, 0),
    }),
  };
}

function headsAgree(running: readonly PeerProcess[]): boolean {
  const [first, ...others] = running.map(({ heads }) => JSON.stringify([...heads].toSorted()));
  return others.every((heads) => heads === first);
}

/** Resolves when something holds of the running peers; looked at now and after every event. */
function until(
  peers: readonly PeerProcess[],
  events: EventEmitter<{ event: [PeerProcess, SessionEvent]; exit: [PeerProcess] }>,
  signal: AbortSignal,
  holds: (running: readonly PeerProcess[]) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      events.off("event", check);
      events.off("exit", onExit);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const check = (): void => {
      const running = peers.filter((peer) => peer.running);
      if (running.length > 0 && holds(running)) finish(resolve);
    };
    const onExit = (peer: PeerProcess): void => {
      if (!peer.stopping)
        finish(() => reject(new NetworkError(`${peer.name} ended early with ${peer.exit}.`)));
      else check();
    };
    const onAbort = (): void => finish(() => reject(signal.reason));
    events.on("event", check);
    events.on("exit", onExit);
    signal.addEventListener("abort", onAbort);
    check();
  });
}

function spawnNode({ command, environment }: Launch, args: string[]): ChildProcess {
  // Of its own process group, so that Ctrl-C reaches this process only, which asks the others to end in order.
  const child = spawn(command[0]!, [...command.slice(1), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
    env: { ...process.env, ...environment },
  });
  // It must not outlive this process, should that be forced to end.
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  return child;
}

/** Addresses in the first line that the bootstrap prints. */
async function listening(child: ChildProcess, signal: AbortSignal): Promise<string[]> {
  const lines = createInterface({ input: child.stdout! });
  const ended = once(child, "exit", { signal }).then(([code]) => {
    throw new NetworkError(`The bootstrap process ended with exit code ${code} before it listened.`);
  });
  const [line] = (await Promise.race([once(lines, "line", { signal }), ended])) as [string];
  ended.catch(() => {});
  return (JSON.parse(line) as { addresses: string[] }).addresses;
}
