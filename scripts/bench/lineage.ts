/**
 * What a flush of one new record and a restart cost with so many records on disk. A flush should cost the same however
 * many there are; a restart decodes all of them, so it should cost the same for each.
 *
 *     npm run bench:lineage -- [--records 1000,10000,100000] [--dir /dev/shm] [--json]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { systemClock } from "../../src/clock.ts";
import { runConfigSchema } from "../../src/objects/config.ts";
import { Contribution } from "../../src/objects/contribution.ts";
import { ROUTER } from "../../src/objects/manifest.ts";
import { type Block, rawBlock } from "../../src/objects/object.ts";
import { Version } from "../../src/objects/version.ts";
import { Lineage } from "../../src/outer/lineage.ts";
import { knownContribution } from "../../src/outer/records.ts";
import { createPlan } from "../../src/plan/plan.ts";
import { createTopology } from "../../src/run/topology.ts";
import { openDirectory } from "../../src/store/directory.ts";
import type { BlockSource } from "../../src/store/fetch-job.ts";
import { openStore } from "../../src/store/store.ts";
import { createLineageStore, type LineageStore } from "../../src/swarm/modules/lineage-store.ts";

const FLUSHES = 30;
const RECORDS_PER_FLUSH = 500;
const MODULE = "lower/0";
const STEPS = 4;

const { values: options } = parseArgs({
  options: {
    records: { type: "string", default: "1000,10000,100000" },
    /** Of a file system in memory, the cost of the code is seen without that of a device. */
    dir: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
  },
});
const sizes = options.records.split(",").map(Number);

const address = rawBlock(Buffer.from("anything")).cid;
const key = await generateKeyPair("Ed25519");
const config = runConfigSchema.parse({
  name: "bench",
  grid: [1, 1],
  levels: [
    { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
    { name: "upper", parts: ["blocks 2-3", "head"], choose: 1 },
  ],
  model: { sequenceLength: 4 },
  training: { batchSize: 2, innerSteps: STEPS, rounds: Math.max(...sizes) + FLUSHES },
});
const topology = createTopology(config);
const none = { parent: null, contributions: [], generation: 0, tokens: 0 };
const block = Version.encode({ module: MODULE, state: { parameters: address }, ...none });
const genesis = { ...Version.decode(block.bytes), cid: block.cid };
const plan = createPlan({
  config,
  topology,
  genesis: [{ module: ROUTER, version: genesis.cid }],
  shards: [{ tokens: 1 }],
});
const NOBODY: BlockSource = {
  connect: () => Promise.reject(new Error("nobody is there")),
  ask: () => Promise.reject(new Error("nobody is there")),
  onLost: () => () => {},
  async *search() {},
};

interface Peer {
  records: LineageStore;
  lineage: Lineage;
  close(): Promise<void>;
}

async function open(dir: string): Promise<Peer> {
  const { files, database, close } = await openDirectory(dir);
  const { store } = await openStore({ files, database, clock: systemClock, source: () => NOBODY });
  const lineage = new Lineage({ module: MODULE, genesis, topology, config, plan, runId: address });
  return { records: createLineageStore(store, new Map([[MODULE, lineage]])), lineage, close };
}

function contribution(round: number): Promise<Block> {
  const bases = topology.basesOfPath(0).map((module) => ({ module, version: genesis.cid }));
  const about = { run: address, module: MODULE, bases, work: "train" as const, round, path: 0, replica: 0 };
  const work = { delta: address, tokens: STEPS * 8, steps: STEPS, loss: 1 };
  return Contribution.seal({ ...about, ...work }, key);
}

function add({ records, lineage }: Peer, { cid, bytes }: Block): void {
  lineage.addContribution(knownContribution(Contribution.recall(bytes), cid));
  records.add(MODULE, { cid, bytes });
}

/** Milliseconds of computing, which other processes disturb less than the time that it takes. */
async function timed(task: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await task();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

async function measure(count: number): Promise<Record<string, number>> {
  const dir = await mkdtemp(join(options.dir, "pathweave-bench-"));
  try {
    const peer = await open(dir);
    for (let round = 0; round < count; round++) {
      add(peer, await contribution(round));
      if (round % RECORDS_PER_FLUSH === 0) await peer.records.flush();
    }
    await peer.records.flush();
    const flushes: number[] = [];
    for (let more = 0; more < FLUSHES; more++) {
      add(peer, await contribution(count + more));
      flushes.push(await timed(() => peer.records.flush()));
    }
    await peer.close();
    let again: Peer;
    const restartMs = await timed(async () => {
      again = await open(dir);
      for await (const { cid, bytes } of again.records.restore()) add(again, { cid, bytes });
    });
    if (again!.lineage.contributions().length !== count + FLUSHES)
      throw new Error("the restart did not find all");
    await again!.close();
    return { records: count, flushMs: flushes.toSorted((a, b) => a - b)[FLUSHES >> 1]!, restartMs };
  } finally {
    await rm(dir, { recursive: true });
  }
}

const rows = [];
for (const count of sizes) {
  const row = await measure(count);
  rows.push(row);
  const each = (1000 * row["restartMs"]!) / count;
  if (!options.json)
    process.stdout.write(
      `${count} records: a flush of one more computes ${row["flushMs"]!.toFixed(2)} ms, a restart ` +
        `${Math.round(row["restartMs"]!)} ms, ${each.toFixed(0)} µs a record\n`,
    );
}
if (options.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
