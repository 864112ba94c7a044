/**
 * What an intruder can do, one entry a move: what it says next, given what it heard. It has what a stranger has, which
 * is the invite, any number of keys, and the formats.
 */
import * as dagCbor from "@ipld/dag-cbor";
import type { CID } from "multiformats/cid";
import { kindOf } from "../../objects/object.ts";
import { Version } from "../../objects/version.ts";
import type { Random } from "../../random.ts";
import { LineageRecord } from "../../swarm/messages.ts";
import type { WorldRun } from "./run.ts";

export interface Said {
  topic: string;
  data: Uint8Array;
  /** CID of the false version that it announces, if it does. */
  lie?: string;
}

export interface Situation {
  /** The latest messages, oldest first. */
  heard: readonly Said[];
  /** Of the run, and of each of its modules. */
  topics: readonly string[];
  random: Random;
  world: WorldRun;
}

/** Returns undefined when it has heard nothing of use. */
export type Move = (situation: Situation) => Said | undefined;

function one<T>(random: Random, of: readonly T[]): T | undefined {
  return of[random.integer(Math.max(1, of.length))];
}

/** A version that somebody announced, and where; what cannot be read is passed over. */
function aVersion({ heard, random }: Situation): { topic: string; run: CID; version: Version } | undefined {
  const records = heard.filter(({ data }) => kindOf(data) === LineageRecord.kind);
  const message = one(random, records);
  if (message === undefined) return undefined;
  try {
    const { run, block } = LineageRecord.decode(message.data);
    return { topic: message.topic, run, version: Version.decode(block) };
  } catch {
    return undefined;
  }
}

export const MOVES: Readonly<Record<string, Move>> = {
  garbage: ({ random, topics }) => ({
    topic: one(random, topics)!,
    data: Uint8Array.from({ length: 1 + random.integer(200) }, () => random.integer(256)),
  }),
  /** What somebody said, in its own name. */
  replay: ({ heard, random }) => one(random, heard),
  "replay elsewhere": ({ heard, random, topics }) => {
    const message = one(random, heard);
    return message && { ...message, topic: one(random, topics)! };
  },
  "cut short": ({ heard, random }) => {
    const message = one(random, heard);
    return message && { ...message, data: message.data.slice(0, random.integer(message.data.byteLength)) };
  },
  /** As a later release might say it. */
  "unknown format": ({ heard, random }) => {
    const message = one(
      random,
      heard.filter(({ data }) => kindOf(data) !== undefined),
    );
    if (message === undefined) return undefined;
    const node = dagCbor.decode<Record<string, unknown>>(message.data);
    return { ...message, data: dagCbor.encode({ ...node, format: Number(node["format"]) + 1 }) };
  },
  /**
   * A version whose tensors are those of the beginning, which are everywhere, so that they can be had. Not where folds
   * are not checked by everybody, or where nothing follows that outgrows it: there a lie is believed by who neither
   * owns the module nor trains it (docs/security.md).
   */
  "false version": (situation) => {
    const found = aVersion(situation);
    const { swarm, training } = situation.world.manifest.config;
    if (found === undefined || swarm.verify !== "all" || found.version.generation >= training.rounds)
      return undefined;
    const { topic, run, version } = found;
    const { state } = situation.world.genesis.get(version.module)!;
    const lie = Version.encode({ ...version, state: { ...version.state, ...state } });
    return { topic, data: LineageRecord.encode({ run, block: lie.bytes }).bytes, lie: lie.cid.toString() };
  },
};
