/** A lineage to ask and to tell. */
import { systemClock } from "../../../src/clock.ts";
import { silentLogger } from "../../../src/log.ts";
import type { RequestHandler } from "../../../src/net/types.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { dagCborCid, kindOf } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import { openRecord } from "../../../src/outer/records.ts";
import { Answer, Ask, Digest } from "../../../src/swarm/messages.ts";
import { createAntiEntropy } from "../../../src/swarm/sync/anti-entropy.ts";
import { key } from "../../unit/objects/samples.ts";
import {
  basesOf,
  cidOf,
  createInit,
  fold,
  GENESIS,
  MODULE,
  RUN_ID,
  TOKENS_PER_STEP,
} from "../../unit/outer/history.ts";

async function history(): Promise<{ blocks: Uint8Array[]; ask: Uint8Array; answer: Uint8Array }> {
  const base = {
    run: RUN_ID,
    module: MODULE,
    work: "train" as const,
    round: 0,
    replica: 0,
    delta: cidOf("delta"),
    steps: 1,
    loss: 1,
  };
  const sealed = await Promise.all(
    [0, 1].map((path) =>
      Contribution.seal(
        { ...base, bases: basesOf(MODULE, path, GENESIS.cid), path, tokens: TOKENS_PER_STEP },
        key,
      ),
    ),
  );
  const lineage = createLineage();
  for (const { bytes } of sealed) await addRecord(lineage, bytes);
  const { cid: _, ...next } = fold(GENESIS, lineage.contributions());
  const blocks = [...sealed.map(({ bytes }) => bytes), Version.encode(next).bytes];
  return {
    blocks,
    ask: Ask.encode({ run: RUN_ID, modules: [{ module: MODULE, ...lineage.have() }] }).bytes,
    answer: Answer.encode({ records: blocks, more: false }).bytes,
  };
}

export const createLineage = (): Lineage => new Lineage(createInit({ maxStaleness: 8 }));

export async function addRecord(lineage: Lineage, bytes: Uint8Array): Promise<void> {
  const { type, record } = await openRecord(bytes);
  if (type === "version") lineage.addVersion(record);
  else lineage.addContribution(record);
}

export const { blocks: HISTORY, ask: ASK, answer: ANSWER } = await history();

/** The handler that peers ask, over a lineage of three records. */
export async function asked(): Promise<RequestHandler> {
  const lineage = createLineage();
  const known = new Map<string, Uint8Array>();
  for (const bytes of HISTORY) {
    await addRecord(lineage, bytes);
    known.set(dagCborCid(bytes).toString(), bytes);
  }
  const { promise, resolve } = Promise.withResolvers<RequestHandler>();
  const antiEntropy = createAntiEntropy({
    clock: systemClock,
    network: {
      handle: async (_protocol, handler) => resolve(handler),
      request: () => Promise.reject(new Error()),
    },
    run: RUN_ID,
    lineages: new Map([[MODULE, lineage]]),
    blockOf: async (cid) => known.get(cid.toString()),
    ingest: async () => false,
    log: silentLogger,
  });
  await antiEntropy.start();
  return promise;
}

const MORE = Answer.encode({ records: [], more: true }).bytes;

/** Asks a peer whose answers are always the given bytes. */
export async function told(bytes: Uint8Array): Promise<void> {
  const lineage = createLineage();
  const antiEntropy = createAntiEntropy({
    clock: systemClock,
    network: {
      handle: async () => {},
      // First it says that it has more.
      request: async (_peer, _protocol, question) => (kindOf(question) === Digest.kind ? MORE : bytes),
    },
    run: RUN_ID,
    lineages: new Map([[MODULE, lineage]]),
    blockOf: async () => undefined,
    ingest: (block) => addRecord(lineage, block).then(() => true),
    log: silentLogger,
  });
  await antiEntropy.ask("peer", new AbortController().signal);
}
