/** Opens a run as an observer: reads and asks, neither trains nor owns. For `status`, `eval`, `audit` and the demo. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../src/errors.ts";
import { createLogger, type Level } from "../src/log.ts";
import { openPeer, type Peer } from "../src/peer.ts";
import { decodeInvite, type Invite } from "../src/run/invite.ts";
import { readInvite } from "../src/store/invite-file.ts";

export interface ObserveFlags {
  /** An invite; else the one in the folder `data`. */
  invite?: string | undefined;
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

export async function inviteOf(flags: Pick<ObserveFlags, "invite" | "data">): Promise<Invite> {
  const invite = flags.invite === undefined ? await readInvite(flags.data) : decodeInvite(flags.invite);
  if (invite === undefined)
    throw new UsageError(
      `There is no run in ${flags.data}. Give an invite, or the folder of a peer with --data.`,
    );
  return invite;
}

/**
 * Observes a run from a temporary folder, so that a running peer's folder is left alone, for as long as `use` takes.
 */
export async function observe<T>(
  flags: ObserveFlags,
  signal: AbortSignal,
  use: (peer: Peer) => Promise<T>,
): Promise<T> {
  const invite = await inviteOf(flags);
  const directory = await mkdtemp(join(tmpdir(), "pathweave-observer-"));
  try {
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
    });
    try {
      await peer.swarm.start();
      await peer.swarm.synchronised(signal);
      return await use(peer);
    } finally {
      await peer.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
