/** Opens a run as an observer: reads and asks, neither trains nor owns. For `status`, `eval`, `audit` and the demo. */
import { rmSync } from "node:fs";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NetworkError } from "../src/errors.ts";
import { dataFlag, pathweaveCommand } from "../src/invocation.ts";
import { createLogger, type Level } from "../src/log.ts";
import { IDENTITY_FILE, OBSERVER_FILE } from "../src/net/identity.ts";
import { openPeer } from "../src/peer.ts";
import type { Peer } from "../src/peer/types.ts";
import { type InviteFlags, inviteOf } from "./invite.ts";

/** An invite; else the one in the folder `data`. */
export interface ObserveFlags extends InviteFlags {
  data: string;
  bootstrap: string[];
  mdns: boolean;
  "log-level": Level;
}

/** Flags of a command that observes and prints. */
export interface ObserveCommandFlags extends ObserveFlags {
  invite: string | undefined;
  json: boolean;
}

/**
 * Observes a run for as long as `use` takes, from a temporary folder, so that it leaves a running peer's folder alone.
 * `show` receives what it does before that.
 */
export async function observe<T>(
  flags: ObserveFlags,
  signal: AbortSignal,
  use: (peer: Peer) => Promise<T>,
  show: (doing: string) => void = () => {},
): Promise<T> {
  const isGiven = flags.invite !== undefined || flags["invite-file"] !== undefined;
  const invite = await inviteOf(flags);
  const directory = await mkdtemp(join(tmpdir(), "pathweave-observer-"));
  const removeNow = (): void => rmSync(directory, { recursive: true, force: true });
  // Of an end that waits for nothing.
  process.once("exit", removeNow);
  try {
    await useObserverKey(flags.data, directory);
    show("looking for peers of the run");
    const peer = await openPeer({
      directory,
      invite,
      // It dials; nobody needs to dial it.
      listen: [],
      announce: [],
      bootstrap: flags.bootstrap,
      mdns: flags.mdns,
      role: "observer",
      device: { kind: "compiled", device: "cpu" },
      archive: true,
      logger: createLogger(flags["log-level"]),
      emit: () => {},
      signal,
    }).catch((error: unknown) => {
      throw isGiven || !(error instanceof NetworkError) ? error : withOwnPeer(error, flags.data);
    });
    try {
      show("asking a peer what it knows of the run");
      await peer.swarm.start();
      await peer.swarm.synchronised(signal);
      return await use(peer);
    } finally {
      await peer.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
    process.off("exit", removeNow);
  }
}

/** The folder itself holds a peer of the run, so the error names that peer as the next step. */
function withOwnPeer({ message }: NetworkError, data: string): NetworkError {
  return new NetworkError(
    `${message}\nIf the peer in ${data} does not run, start it: ${pathweaveCommand("join", ...dataFlag(data))}`,
  );
}

/** A run with an allow-list admits an observer only under an id that it lists: `pathweave id --observer`. */
async function useObserverKey(data: string, directory: string): Promise<void> {
  try {
    await copyFile(join(data, OBSERVER_FILE), join(directory, IDENTITY_FILE));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
