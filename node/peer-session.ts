/** Runs a peer until it is told to stop, and tells people or programs what happens. */
import { InterruptedError, UsageError } from "../src/errors.ts";
import { dataFlag, pathweaveCommand, pathweaveCommandElsewhere } from "../src/invocation.ts";
import { createLogger, type Level } from "../src/log.ts";
import { openPeer } from "../src/peer.ts";
import type { Peer, PeerOptions } from "../src/peer/types.ts";
import { relaysIn } from "../src/net/scope.ts";
import { describeRun } from "../src/run/describe.ts";
import type { Invite } from "../src/run/invite.ts";
import type { SwarmEvent } from "../src/swarm/types.ts";
import { openNewFolder } from "./new-folder.ts";
import { nextSteps } from "./next-steps.ts";
import { deviceOf, type EngineFlags, maxDiskBytes } from "./options.ts";
import {
  counted,
  createProgress,
  formatBar,
  formatBytes,
  formatDuration,
  formatJson,
  formatNumber,
  wrapRows,
} from "./output.ts";
import {
  describeProgress,
  type OwnWork,
  Pace,
  type RunProgress,
  runProgressOf,
  secondsLeft,
} from "./run-progress.ts";
import { type Shutdown, untilInterrupted } from "./shutdown.ts";

/** Flags of every command that runs a peer, as yargs gives them. */
export interface PeerFlags extends EngineFlags {
  data: string;
  listen: string[];
  announce: string[];
  bootstrap: string[];
  mdns: boolean;
  archive: boolean;
  "max-connections": number;
  "max-mbps": number | undefined;
  "max-disk": string | undefined;
  "log-level": Level;
  json: boolean;
}

/** What `join --json` prints, one object a line; the swarm's own events and these. */
export type SessionEvent =
  | SwarmEvent
  /** Every ten seconds: rounds of all paths together, and an estimate for the whole run; null while there is none. */
  | { type: "progress"; rounds: number; of: number; secondsLeft: number | null }
  | { type: "started"; peer: string; run: string; addresses: string[]; invite: string | undefined }
  /** Sent when they change. `relays` are this peer's addresses through relays. */
  | { type: "reach"; relays: string[]; addresses: string[]; invite: string | undefined }
  | { type: "stopped"; bytesUp: number; bytesDown: number; seconds: number };

/** Throws UsageError when a limit is none. */
export function peerOptions(
  flags: PeerFlags,
  invite: Invite | undefined,
  emit: (event: SwarmEvent) => void,
  signal: AbortSignal,
): PeerOptions {
  const { "max-connections": maxConnections, "max-mbps": mbps } = flags;
  const maxBytes = maxDiskBytes(flags);
  if (!(Number.isInteger(maxConnections) && maxConnections > 0))
    throw new UsageError("--max-connections takes a whole number above 0, such as 200.");
  if (mbps !== undefined && !(mbps > 0))
    throw new UsageError("--max-mbps takes a number above 0, such as 50.");
  return {
    directory: flags.data,
    ...(invite === undefined ? {} : { invite }),
    listen: flags.listen,
    announce: flags.announce,
    bootstrap: flags.bootstrap,
    mdns: flags.mdns,
    role: "worker",
    device: deviceOf(flags),
    archive: flags.archive,
    maxConnections,
    ...(mbps === undefined ? {} : { bytesPerSecond: (mbps * 1_000_000) / 8 }),
    ...(maxBytes === undefined ? {} : { maxDiskBytes: maxBytes }),
    logger: createLogger(flags["log-level"]),
    emit,
    signal,
  };
}

/** Joins (or goes on), trains until the shutdown is asked for, and leaves in order. */
export async function runPeer(
  flags: PeerFlags,
  invite: Invite | undefined,
  shutdown: Shutdown,
): Promise<void> {
  const began = performance.now();
  const view = flags.json ? jsonView() : textView(flags.data);
  const { signal } = shutdown;
  const pulse = createRunPulse(view);
  const emit = (event: SwarmEvent): void => {
    pulse.heard(event);
    view.event(event);
  };
  const peer = await joinRun(peerOptions(flags, invite, emit, signal), view, signal);
  let failure: unknown;
  let relays = "";
  const stopWatching = peer.network.onReach(() => {
    const now = peer.network.relayAddresses();
    if (now.join(" ") === relays) return;
    relays = now.join(" ");
    view.reach(reachOf(peer));
  });
  try {
    view.started(peer);
    await peer.swarm.start();
    pulse.start(peer);
    await Promise.race([aborted(signal), peer.swarm.failure]);
  } catch (error) {
    failure = error;
  }
  pulse.stop();
  view.leaving();
  stopWatching();
  try {
    await peer.stop();
  } catch (error) {
    // What ended the peer matters more than what its end ran into, for instance the same full disk.
    failure ??= error;
  }
  const { bytesIn, bytesOut } = peer.store.transferred;
  const seconds = (performance.now() - began) / 1000;
  view.stopped({ type: "stopped", bytesUp: bytesOut, bytesDown: bytesIn, seconds });
  if (failure !== undefined) throw failure;
}

/** Of an interruption: for what is under way to end. */
const JOIN_GRACE_MS = 500;

/** A folder that was made for a run that is not joined is gone again. Throws InterruptedError when told to stop. */
async function joinRun(options: PeerOptions, view: View, signal: AbortSignal): Promise<Peer> {
  const folder = await openNewFolder(options.directory);
  view.joining();
  try {
    return await untilInterrupted(signal, openPeer(options), JOIN_GRACE_MS);
  } catch (error) {
    view.failed();
    if (folder.isNew) await folder.undo().catch(() => {});
    if (error instanceof InterruptedError)
      throw new InterruptedError(
        error.signal,
        folder.isNew
          ? "Interrupted before joining; nothing is kept."
          : `Interrupted before joining; ${options.directory} is as it was. To go on: ${pathweaveCommand("join", ...dataFlag(options.directory))}`,
      );
    throw error;
  }
}

function reachOf({ network, invite }: Peer): SessionEvent & { type: "reach" } {
  return {
    type: "reach",
    relays: network.relayAddresses(),
    addresses: network.addresses(),
    invite: invite(),
  };
}

interface View {
  joining(): void;
  failed(): void;
  event(event: SwarmEvent): void;
  started(peer: Peer): void;
  progress(progress: RunProgress): void;
  leaving(): void;
  reach(event: SessionEvent & { type: "reach" }): void;
  stopped(event: SessionEvent & { type: "stopped" }): void;
}

const PROGRESS_MS = 10_000;

/** Tells now and then how far the whole run is. */
function createRunPulse(view: View) {
  const pace = new Pace();
  let own: OwnWork | undefined;
  let isTraining = false;
  let timer: NodeJS.Timeout | undefined;
  return {
    heard(event: SwarmEvent): void {
      if (event.type === "step") {
        const { step, steps, tokensPerSecond } = event;
        own = { slot: event, progress: step / steps, tokensPerSecond };
        // Before, rounds come in that ended long ago.
        isTraining = true;
      }
      if (event.type === "lease" && (event.state === "completed" || event.state === "abandoned") && own)
        own = { ...own, progress: 0 };
    },
    start(peer: Peer): void {
      const show = (): void => {
        const now = performance.now();
        // Counts this peer among the workers also before its first step.
        const self = own ?? { progress: 0, tokensPerSecond: 0 };
        const { done } = runProgressOf(peer, now, self).rounds;
        view.progress(runProgressOf(peer, now, self, isTraining ? pace.note(done, now) : undefined));
      };
      timer = setInterval(show, PROGRESS_MS);
      show();
    },
    stop: () => clearInterval(timer),
  };
}

function jsonView(): View {
  const print = (event: SessionEvent): void => void process.stdout.write(`${formatJson(event)}\n`);
  return {
    joining() {},
    failed() {},
    leaving() {},
    event: print,
    stopped: print,
    progress: ({ rounds, left }) =>
      print({ type: "progress", rounds: rounds.done, of: rounds.total, secondsLeft: secondsLeft(left) }),
    reach: print,
    started: (peer) =>
      print({
        type: "started",
        peer: peer.network.peerId,
        run: peer.run.toString(),
        addresses: peer.network.addresses(),
        invite: peer.invite(),
      }),
  };
}

function textView(data: string): View {
  const progress = createProgress(process.stdout);
  const short = (peer: string): string => `…${peer.slice(-6)}`;
  let live = 0;
  let run: RunProgress | undefined;
  const peers = (): string => `${counted(live + 1, "peer")} in the swarm`;
  let through = new Set<string>();
  return {
    joining: () => progress.update("joining the run"),
    failed() {
      progress.update(undefined);
      progress[Symbol.dispose]();
    },
    leaving: () => progress.update("leaving"),
    progress(now) {
      run = now;
    },
    started(peer) {
      const lines = describeRun(peer.manifest.config, peer.topology, peer.sizes);
      for (const line of wrapRows(lines)) progress.line(line);
      progress.line(`peer ${peer.network.peerId}`);
      for (const address of peer.network.addresses()) progress.line(`  listening on ${address}`);
      const invite = peer.invite();
      progress.line("To add another machine, run there:");
      progress.line(
        `  ${pathweaveCommandElsewhere("join", ...(invite === undefined ? ["--invite-file", "lab.invite"] : [invite]))}`,
      );
      if (invite === undefined)
        progress.line(
          `with the file that this makes: ${pathweaveCommand("invite", ...dataFlag(data))} > lab.invite`,
        );
      progress.update("looking for peers of the run");
    },
    reach({ relays }) {
      const now = new Set(relaysIn(relays));
      for (const relay of now) if (!through.has(relay)) progress.line(`reached through a relay at ${relay}`);
      for (const relay of through)
        if (!now.has(relay))
          progress.line(
            `lost the relay at ${relay}${now.size === 0 ? "; looking for it and for another" : ""}`,
          );
      through = now;
    },
    event(event) {
      switch (event.type) {
        case "member":
          live = event.live;
          if (event.role === "worker")
            progress.line(
              `${event.state === "joined" ? "+" : "-"} peer ${short(event.peer)} ${event.state}; ${peers()}`,
            );
          break;
        case "step":
          progress.update(
            `round ${event.round} path ${event.path} ${formatBar(event.step, event.steps)} loss ${formatNumber(event.loss)} ` +
              `lr ${event.learningRate.toExponential(1)} ${Math.round(event.tokensPerSecond)} tokens/s, ` +
              `round done in about ${formatDuration(event.millisecondsLeft)}` +
              `${run === undefined ? "" : `; run: ${describeProgress(run)}`}; ${counted(live + 1, "peer")}`,
          );
          break;
        case "lease":
          if (event.state === "abandoned")
            progress.line(`gave up round ${event.round} of path ${event.path}: ${event.reason ?? ""}`);
          if (event.state === "completed")
            progress.line(`round ${event.round} of path ${event.path} is done and announced`);
          if (event.state === "abandoned" || event.state === "completed")
            progress.update(
              `looking for the next round${run === undefined ? "" : `; run: ${describeProgress(run)}`}`,
            );
          break;
        case "version":
          progress.line(
            `${event.module} generation ${event.generation}: ${event.how} ${madeOf(event)} in ${formatDuration(event.milliseconds)}`,
          );
          break;
        case "rejected":
          progress.line(`rejected ${event.cid} of ${event.module}: ${event.reason}`);
          break;
        case "passed-over":
          progress.line(
            `passing over generation ${event.generation} of ${event.module} until its tensors can be had: ${event.reason}`,
          );
          break;
        case "unknown-format":
          progress.line(
            `passing over what peer ${short(event.peer)} sends; one of the two versions of Pathweave may be out of date: ${event.reason}`,
          );
          break;
        case "blocked":
          progress.line(
            `blocked peer ${short(event.peer)} for ${formatDuration(1000 * event.seconds)}, ${event.offence}: ${event.reason}`,
          );
          break;
        case "split":
          progress.line(
            `found another half of the run: ${event.peers.map(short).join(", ")} with other heads of ${counted(event.heads, "module")}; merging`,
          );
          break;
        case "waiting":
          progress.update(event.reason);
          break;
        case "done":
          progress.line("The run is complete: every round of every path is folded.");
          for (const line of nextSteps(data)) progress.line(line);
          progress.update("serving the complete run until Ctrl-C");
          break;
      }
    },
    stopped(event) {
      progress.update(undefined);
      progress[Symbol.dispose]();
      process.stdout.write(
        `left after ${formatDuration(1000 * event.seconds)}: ${formatBytes(event.bytesUp)} sent, ${formatBytes(event.bytesDown)} received\n`,
      );
    },
  };
}

/** What a version is made of. */
function madeOf({ generation, contributions }: { generation: number; contributions: number }): string {
  return generation === 0 ? "(the warm start)" : `from ${counted(contributions, "contribution")}`;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
