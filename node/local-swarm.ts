/**
 * A bootstrap process and several peer processes on loopback TCP. It starts them, follows what they print, and stops
 * them; it takes no part in what they do.
 */
import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { CID } from "multiformats/cid";
import { NetworkError } from "../src/errors.ts";
import { moduleUrl } from "../src/installation.ts";
import type { Level } from "../src/log.ts";
import { encodeInvite } from "../src/run/invite.ts";
import type { SessionEvent } from "./session-events.ts";
import { directly, type Launch, type PeerEvents, PeerProcess, spawnNode, START_MS } from "./peer-process.ts";

const BOOTSTRAP = fileURLToPath(moduleUrl("../bootstrap/pathweave-bootstrap.ts", import.meta.url));
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
  const events: PeerEvents = new EventEmitter();
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
  events: PeerEvents,
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
