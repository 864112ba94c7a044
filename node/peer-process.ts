/** A peer in a process of its own: how it is started, what it says, and how it ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { type EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { NetworkError } from "../src/errors.ts";
import { moduleUrl } from "../src/installation.ts";
import type { SessionEvent } from "./session-events.ts";
import { readEvent } from "./session-events.ts";

const PEER = fileURLToPath(moduleUrl("./pathweave.ts", import.meta.url));
/** For a process to be ready. */
export const START_MS = 60_000;
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

export type PeerEvents = EventEmitter<{ event: [PeerProcess, SessionEvent]; exit: [PeerProcess] }>;

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
  readonly #events: PeerEvents;
  readonly #exited: Promise<unknown>;
  readonly #ready = Promise.withResolvers<void>();
  #stopping = false;

  constructor(name: string, launch: Launch, args: string[], events: PeerEvents) {
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

/** Starts a script of this package, which ends with this process at the latest. */
export function spawnNode({ command, environment }: Launch, args: string[]): ChildProcess {
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
