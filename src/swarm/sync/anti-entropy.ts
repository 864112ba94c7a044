/**
 * Two peers compare what they know of every module and exchange what either lacks, over a stream. Gossip is best
 * effort; this is what makes all peers converge (DESIGN section 4).
 */
import { createHash } from "node:crypto";
import type { CID } from "multiformats/cid";
import { type Clock, timeout } from "../../clock.ts";
import { InvalidObjectError, messageOf, UnknownFormatError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Network } from "../../net/types.ts";
import { kindOf } from "../../objects/object.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import type { Lineage } from "../../outer/lineage.ts";
import { Answer, Ask, Digest } from "../messages.ts";

export const ANTI_ENTROPY_PROTOCOL = `/pathweave/anti-entropy/${PROTOCOL}`;
/** Room for the frame of an answer below the object limit of 1 MiB. */
const ANSWER_BYTES = 900_000;
const ANSWER_RECORDS = 4096;
const REQUEST_MS = 30_000;
/** Answers in a row from one peer, so that one that always has more cannot hold this peer for ever. */
const MAX_ANSWERS = 1000;

export interface AntiEntropyInit {
  clock: Clock;
  network: Pick<Network, "handle" | "request">;
  run: CID;
  lineages: ReadonlyMap<string, Lineage>;
  /** Block of a known version or contribution. */
  blockOf(cid: CID): Promise<Uint8Array | undefined>;
  /** Takes in a block of a version or contribution; false when it was known already. */
  ingest(block: Uint8Array, from: string): Promise<boolean>;
  /** Hears of a peer whose question or answer does not decode, or whose question is about another run. */
  offended?(peer: string, reason: string): void;
  /** Hears of a peer whose question or answer has an unknown format. */
  notUnderstood?(peer: string, reason: string): void;
  /** Hears of an exchange that has ended and brought records. */
  exchanged?(peer: string, records: number, milliseconds: number): void;
  log: Logger;
}

export interface AntiEntropy {
  start(): Promise<void>;
  /** Learns what `peer` knows and this one lacks. Throws NetworkError or InvalidObjectError. */
  ask(peer: string, signal: AbortSignal): Promise<void>;
}

/**
 * A digest of the heads, which stand for their whole history, and of the work still to fold: peers with the same digest
 * lack nothing of each other.
 */
function digestOf(lineages: ReadonlyMap<string, Lineage>): Uint8Array {
  const hash = createHash("sha256");
  for (const [module, lineage] of lineages) {
    const cids = [lineage.head(), ...lineage.pending()].map(({ cid }) => cid.toString());
    hash.update(`${module} ${cids.join(" ")}\n`);
  }
  return hash.digest();
}

export function createAntiEntropy(init: AntiEntropyInit): AntiEntropy {
  const { clock, network, run, lineages, blockOf, ingest, offended, notUnderstood, exchanged, log } = init;
  const asking = new Map<string, Promise<void>>();

  function read(request: Uint8Array): Ask | Digest {
    const question = (kindOf(request) === Digest.kind ? Digest : Ask).decode(request);
    if (!question.run.equals(run)) throw new InvalidObjectError("That is another run.");
    return question;
  }

  async function answer(ask: Ask | Digest): Promise<Uint8Array> {
    if ("digest" in ask) {
      const more = Buffer.compare(ask.digest, digestOf(lineages)) !== 0;
      return Answer.encode({ records: [], more }).bytes;
    }
    const records: Uint8Array[] = [];
    let size = 0;
    let more = false;
    for (const have of ask.modules) {
      const lack = lineages.get(have.module)?.since(have);
      if (lack === undefined) continue;
      more ||= lack.more;
      for (const cid of lack.order) {
        const block = await blockOf(cid);
        if (block === undefined) continue;
        size += block.byteLength + 16;
        if (size > ANSWER_BYTES || records.length >= ANSWER_RECORDS)
          return Answer.encode({ records, more: true }).bytes;
        records.push(block);
      }
    }
    return Answer.encode({ records, more }).bytes;
  }

  /** What a peer's bytes say. When that is nothing of use it is told, then thrown. */
  function understand<T>(peer: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof UnknownFormatError) notUnderstood?.(peer, messageOf(error));
      else if (error instanceof InvalidObjectError) offended?.(peer, messageOf(error));
      throw error;
    }
  }

  async function request(peer: string, question: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const deadline = AbortSignal.any([signal, timeout(clock, REQUEST_MS)]);
    const response = await network.request(peer, ANTI_ENTROPY_PROTOCOL, question, deadline);
    return understand(peer, () => Answer.decode(response));
  }

  /** Returns how many records it brought. */
  async function exchange(peer: string, signal: AbortSignal): Promise<number> {
    let brought = 0;
    const digest = Digest.encode({ run, digest: digestOf(lineages) }).bytes;
    if (!(await request(peer, digest, signal)).more) return brought;
    let previous: Uint8Array | undefined;
    for (let answers = 0; answers < MAX_ANSWERS; answers++) {
      const modules = [...lineages].map(([module, lineage]) => ({ module, ...lineage.have() }));
      const ask = Ask.encode({ run, modules }).bytes;
      // What was sent brought nothing that counts, so neither will the rest.
      if (previous !== undefined && Buffer.compare(previous, ask) === 0) return brought;
      previous = ask;
      const { records, more } = await request(peer, ask, signal);
      for (const block of records) {
        try {
          if (await ingest(block, peer)) brought++;
        } catch (error) {
          if (!(error instanceof InvalidObjectError)) throw error;
          log.warn(`peer ${peer} sent a record that is refused: ${messageOf(error)}`);
        }
      }
      if (!more) return brought;
    }
    return brought;
  }

  async function timed(peer: string, signal: AbortSignal): Promise<void> {
    const began = clock.now();
    const records = await exchange(peer, signal);
    if (records > 0) exchanged?.(peer, records, Math.round(clock.now() - began));
  }

  return {
    start: () =>
      network.handle(ANTI_ENTROPY_PROTOCOL, async (from, question) =>
        answer(understand(from, () => read(question))),
      ),
    ask(peer, signal) {
      const running = asking.get(peer);
      if (running !== undefined) return running;
      const task = timed(peer, signal).finally(() => asking.delete(peer));
      asking.set(peer, task);
      return task;
    },
  };
}
