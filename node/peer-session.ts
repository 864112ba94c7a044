/** Runs a peer until it is told to stop, and tells people or programs what happens. */
import { InterruptedError, UsageError } from "../src/errors.ts";
import { dataFlag, pathweaveCommand } from "../src/invocation.ts";
import { createLogger, type Level } from "../src/log.ts";
import { openPeer } from "../src/peer.ts";
import type { Peer, PeerOptions } from "../src/peer/types.ts";
import type { Invite } from "../src/run/invite.ts";
import type { SwarmEvent } from "../src/swarm/types.ts";
import { openNewFolder } from "./new-folder.ts";
import { deviceOf, type EngineFlags, maxDiskBytes } from "./options.ts";
import { createRunPulse } from "./run-pulse.ts";
import type { SessionEvent } from "./session-events.ts";
import { textView } from "./session-text.ts";
import { jsonView, type View } from "./session-view.ts";
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

/** The options of a peer. Throws UsageError when a flag is not a limit. */
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

/** Time after an interruption for the work under way to end, ms. */
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

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
