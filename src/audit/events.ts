/** The event log of a swarm: what each peer said and what was done to it, one JSON object a line. */
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { InvalidObjectError, messageOf, StorageError } from "../errors.ts";
import { createTakeovers, type Silence, type Takeovers } from "./takeovers.ts";

const slot = { round: z.int(), path: z.int(), replica: z.int() };

/** The events that prove something; others are passed over. */
const eventSchema = z.union([
  z.object({ type: z.literal("started"), peer: z.string() }),
  z.object({
    type: z.literal("lease"),
    state: z.enum(["claimed", "started", "abandoned", "completed"]),
    ...slot,
  }),
  z.object({ type: z.literal("head"), module: z.string(), cid: z.string() }),
  z.object({ type: z.literal("rejected"), cid: z.string(), reason: z.string() }),
  z.object({
    type: z.literal("offence"),
    // Of the two versions of a contradiction one may be true.
    offence: z.enum(["invalid-record", "invalid-version", "invalid-contribution"]),
    cid: z.string(),
    reason: z.string(),
  }),
]);
const lineSchema = z.union([
  z.object({ at: z.number(), peer: z.string(), event: z.looseObject({ type: z.string() }) }),
  z.object({ at: z.number(), fault: z.object({ kind: z.string(), peers: z.array(z.string()) }) }),
]);

/** A line of the log; `at` in ms since its beginning, peers by the names of their folders. */
export type LoggedEvent =
  | { at: number; peer: string; event: { type: string } }
  | { at: number; fault: { kind: string; peers: string[] } };

/** Reads a log from its file. Throws StorageError, and InvalidObjectError with the number of the wrong line. */
export async function* readEventLog(file: string): AsyncGenerator<LoggedEvent> {
  let number = 0;
  for await (const line of (await openLog(file)).readLines()) {
    number++;
    yield parseLine(line, `${file}:${number}`);
  }
}

async function openLog(file: string): Promise<FileHandle> {
  try {
    return await open(file);
  } catch (error) {
    throw new StorageError(`Cannot read the event log: ${messageOf(error)}.`);
  }
}

function parseLine(line: string, where: string): LoggedEvent {
  try {
    return lineSchema.parse(JSON.parse(line));
  } catch {
    throw new InvalidObjectError(
      `${where} is not a line of an event log; give the file that demo --chaos wrote.`,
    );
  }
}

/** What a whole log says. */
export interface Evidence {
  /** What peers said against versions and contributions, by CID, each once. */
  refusals: ReadonlyMap<string, readonly string[]>;
  /** Peer ids whose disks were lost. */
  wiped: ReadonlySet<string>;
  /** Whether a fault had a peer in its grip when the log ended, by its name. */
  isDown(peer: string): boolean;
  /** The head that each peer named last, by peer and module. */
  heads: ReadonlyMap<string, ReadonlyMap<string, string>>;
  takeovers: Takeovers;
}

/** How each fault silences a peer. A slow link does not. */
const STRIKES: Readonly<Record<string, Silence>> = {
  kill: "halted",
  pause: "halted",
  stop: "halted",
  wipe: "halted",
  blackout: "halted",
  partition: "cut",
};
const ENDS: Readonly<Record<string, Silence>> = { resume: "halted", restart: "halted", heal: "cut" };

/** Reads a log to its end. */
export async function gatherEvidence(
  events: AsyncIterable<LoggedEvent> | undefined,
  times: Parameters<typeof createTakeovers>[0],
): Promise<Evidence> {
  const refusals = new Map<string, string[]>();
  const identities = new Map<string, Set<string>>();
  const wiped = new Set<string>();
  const heads = new Map<string, Map<string, string>>();
  const takeovers = createTakeovers(times);
  for await (const entry of events ?? []) {
    if ("fault" in entry) {
      const { kind, peers } = entry.fault;
      for (const peer of peers) {
        const [strikes, ends] = [STRIKES[kind], ENDS[kind]];
        if (strikes !== undefined) takeovers.struck(entry.at, peer, strikes);
        if (ends !== undefined) takeovers.over(entry.at, peer, ends);
        if (kind !== "wipe") continue;
        for (const id of identities.get(peer) ?? []) wiped.add(id);
        heads.delete(peer);
      }
      continue;
    }
    const parsed = eventSchema.safeParse(entry.event);
    if (!parsed.success) continue;
    const [event, { peer, at }] = [parsed.data, entry];
    if (event.type === "started") {
      identities.set(peer, (identities.get(peer) ?? new Set<string>()).add(event.peer));
      takeovers.started(at, peer);
    } else if (event.type === "rejected" || event.type === "offence") {
      const said = refusals.get(event.cid) ?? [];
      if (!said.includes(event.reason)) refusals.set(event.cid, [...said, event.reason]);
    } else if (event.type === "head")
      heads.set(peer, (heads.get(peer) ?? new Map<string, string>()).set(event.module, event.cid));
    else takeovers.lease(at, peer, event);
  }
  return { refusals, wiped, isDown: takeovers.isSilent, heads, takeovers };
}
