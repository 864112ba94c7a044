/**
 * What a peer does to its disk in a small run: two rounds of one path through two modules, each announced, folded and
 * announced again, old tensors let go of. `goOn` does what is not done yet, from whatever the disk holds; the same
 * results come out however often it was interrupted. As a program, `node sequence.ts <dir>` says what it announced.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import type { CID } from "multiformats/cid";
import { createLogger, silentLogger } from "../../../src/log.ts";
import { loadIdentity } from "../../../src/net/identity.ts";
import { runConfigSchema } from "../../../src/objects/config.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { ROUTER } from "../../../src/objects/manifest.ts";
import { type Block, kindOf, rawBlock } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { knownContribution } from "../../../src/outer/records.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import { createPlan } from "../../../src/plan/plan.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { writeInvite } from "../../../src/store/invite-file.ts";
import { createLineageStore } from "../../../src/swarm/modules/lineage-store.ts";
import { createModuleStates } from "../../../src/swarm/modules/module-states.ts";
import { createPathStates } from "../../../src/swarm/rounds/path-states.ts";
import { writeRound } from "../../../src/swarm/rounds/round.ts";
import { createRoundStates, type KeptRound } from "../../../src/swarm/rounds/round-states.ts";
import { type OpenStore, openStore } from "../../unit/store/disk.ts";

export const ROUNDS = 2;
export const MODULES = ["lower/0", "upper/0"];
const ELEMENTS = 64;
const RUN = rawBlock(Buffer.from("run")).cid;
const SHARD = rawBlock(Buffer.from("tokens"));
const tensors = () => [{ name: "w", shape: [ELEMENTS] }];
const key = await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(3));
const config = runConfigSchema.parse({
  name: "crash",
  grid: [1, 1],
  levels: [
    { name: "lower", parts: ["embedding", "blocks 0-1"], choose: 0 },
    { name: "upper", parts: ["blocks 2-3", "head"], choose: 1 },
  ],
  model: { sequenceLength: 4 },
  training: { batchSize: 2, innerSteps: 4, rounds: ROUNDS },
  outer: { codec: "int8" },
});

export interface Sequence extends Pick<OpenStore, "store" | "packs" | "close"> {
  lineages: ReadonlyMap<string, Lineage>;
  /** Does what is left to do; says what it announces once it may. */
  goOn(announce: (cid: CID) => void): Promise<void>;
  /** The step of the optimizer state with which a round would start. */
  stepBefore(round: number): Promise<number | undefined>;
  /** The middle of a round that is kept. */
  kept(): Promise<KeptRound | undefined>;
}

/** What is kept of a round before it is done. */
export function middleOf(round: number, bases: CID[]): KeptRound {
  const values = (offset: number): Float32Array =>
    Float32Array.from({ length: 2 * ELEMENTS }, (_, i) => Math.cos(round + offset + i));
  return {
    slot: { work: "train", round, path: 0, replica: 0 },
    bases,
    parameters: values(0.1),
    moments: { step: 4 * round + 2, firstMoment: values(0.2), secondMoment: values(0.3) },
    progress: { steps: 2, loss: 1.5, warmsUp: round === 0 },
  };
}

/** Opens a directory as a starting peer does. */
export async function openSequence(dir: string): Promise<Sequence> {
  await loadIdentity(join(dir, "identity.key"));
  return sequenceOver(await openStore(dir), () => writeInvite(dir, "invite"));
}

/** The same over a store that is open; `invited` writes the invite. */
export async function sequenceOver(
  opened: Pick<OpenStore, "store" | "packs" | "close">,
  invited: () => Promise<void>,
): Promise<Sequence> {
  const { store, packs } = opened;
  const parameters = await packs.write({
    tensors: tensors(),
    codec: "f32",
    bytes: new Uint8Array(4 * ELEMENTS),
  });
  const none = { parent: null, contributions: [], generation: 0, tokens: 0 };
  const genesis = MODULES.map((module) => Version.encode({ module, state: { parameters }, ...none }));
  const origin = { module: ROUTER, state: { router: rawBlock(Buffer.from("router")).cid }, ...none };
  const router = { ...origin, cid: Version.encode(origin).cid };
  const topology = createTopology(config);
  const shards = Array.from({ length: topology.paths }, () => ({ tokens: 1 }));
  const plan = createPlan({
    config,
    topology,
    genesis: [{ module: ROUTER, version: router.cid }],
    shards,
  });
  const lineages = new Map(
    MODULES.map((module, index) => {
      const { cid, bytes } = genesis[index]!;
      const version = { ...Version.decode(bytes), cid };
      return [module, new Lineage({ module, genesis: version, topology, config, plan, runId: RUN })];
    }),
  );
  const records = createLineageStore(store, lineages);
  const paths = createPathStates({ store, packs, plan, logger: silentLogger });
  // What is damaged is warned of, and nothing here may be.
  const logger = createLogger("warn", (line) => {
    throw new Error(line);
  });
  const rounds = createRoundStates({ store, logger });
  const states = createModuleStates({ packs, outer: config.outer, tensors, weightOf: () => 1 });
  const signal = new AbortController().signal;

  async function ingest({ cid, bytes }: Block): Promise<void> {
    if (kindOf(bytes) === Version.kind) {
      const version = Version.decode(bytes);
      lineages.get(version.module)!.addVersion({ ...version, cid });
      return records.add(version.module, { cid, bytes });
    }
    const record = knownContribution(await Contribution.open(bytes), cid);
    lineages.get(record.module)!.addContribution(record);
    return records.add(record.module, { cid, bytes });
  }
  for await (const { cid, bytes } of records.restore()) await ingest({ cid, bytes });

  async function train(round: number): Promise<Block[]> {
    const slot = { work: "train" as const, round, path: 0, replica: 0 };
    const bases = MODULES.map((module) => lineages.get(module)!.head());
    const previous = await paths.load(slot, 2 * ELEMENTS);
    const values = (offset: number): Float32Array =>
      Float32Array.from({ length: 2 * ELEMENTS }, (_, i) => Math.sin(round + offset + i));
    await rounds.write(
      middleOf(
        round,
        bases.map(({ cid }) => cid),
      ),
    );
    const written = await writeRound(
      { ...opened, run: RUN, privateKey: key, codec: "int8", states: paths, tensors },
      {
        slot,
        bases,
        router,
        start: new Float32Array(2 * ELEMENTS),
        end: values(0.1),
        tokens: 32,
        previous,
        steps: 4,
        loss: 1,
        tokensPerSecond: 1,
        moments: { step: 4 * (round + 1), firstMoment: values(0.2), secondMoment: values(0.3) },
      },
    );
    await records.flush(async () => {
      for (const block of written.contributions) await ingest(block);
      return written.retain;
    });
    await rounds.clear();
    return written.contributions;
  }

  async function fold(module: string): Promise<Block> {
    const lineage = lineages.get(module)!;
    const { block, version } = await states.fold(lineage.head(), [], lineage.pending(), () => [], signal);
    const roots = Object.values(version.state);
    const blocks = (await Promise.all(roots.map((cid) => packs.blocks(cid)))).flat();
    await records.flush(async () => {
      await ingest(block);
      return [[`version:${module}:${version.generation}:${version.cid}`, blocks]];
    });
    return block;
  }

  return {
    ...opened,
    lineages,
    stepBefore: async (round) =>
      (await paths.load({ work: "train", round, path: 0, replica: 0 }, 2 * ELEMENTS))?.moments.step,
    kept: () => rounds.load(),
    async goOn(announce) {
      await store.put([...genesis, SHARD]);
      await store.retainTogether([
        ["run", [...genesis.map(({ cid }) => cid), ...(await packs.blocks(parameters))]],
        ["shard", [SHARD.cid]],
      ]);
      await invited();
      for (let round = 0; round < ROUNDS; round++) {
        if (!lineages.get(MODULES[0]!)!.completed({ work: "train", round, path: 0, replica: 0 }))
          for (const { cid } of await train(round)) announce(cid);
        for (const module of MODULES)
          if (lineages.get(module)!.head().generation === round) announce((await fold(module)).cid);
      }
      for (const pin of await store.pins())
        if (/^(version|delta):[^:]*:0:/.test(pin)) await store.release(pin);
      await store.sweep(0);
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sequence = await openSequence(process.argv[2]!);
  // With the number of the disk's points so far, which disk-hook.ts counts.
  await sequence.goOn((cid) =>
    writeSync(1, `announced ${cid.toString()} ${process.env["DISK_POINTS"] ?? 0}\n`),
  );
  await sequence.close();
}
