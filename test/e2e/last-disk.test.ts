/**
 * All peers of a swarm die at once and all disks but one are lost, the creator's among them: the last disk starts the
 * run again, with the paths that others had trained.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type LocalSwarm, startLocalSwarm } from "../../node/local-swarm.ts";
import type { PeerProcess } from "../../node/peer-process.ts";
import { openFolderModel } from "../../src/use/folder-model.ts";
import { ROUTER } from "../../src/objects/manifest.ts";
import { elementsOfPath } from "../../src/model/parameters.ts";
import { seedParameters } from "../../src/use/path-model.ts";
import { createTinyRun } from "./tiny-run.ts";
import { awaited, patient } from "../waits.ts";

const PATHS = 4;
/** Tokenizer, router, validation; a shard and a holdout of each path; the warm start of each level. */
const OBJECTS = 3 + 2 * PATHS + 4;
const signal = patient;
let directory: string;
let swarm: LocalSwarm;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-last-disk-"));
  const run = await createTinyRun(directory, path.join(directory, "peer-1"), {
    // More than there is time for, so that work is left.
    training: { innerSteps: 20, rounds: 100 },
    // Every peer owns every module, and so holds its head.
    swarm: { owners: 3, graceSeconds: 3 },
  });
  swarm = await startLocalSwarm({ directory, peers: 3, run, logLevel: "error", signal });
});

/** Generations of the modules that training changes; it leaves the router as it is. */
function trainedOf({ generations }: PeerProcess): Map<string, number> {
  return new Map([...generations].filter(([module]) => module !== ROUTER));
}

after(async () => {
  await swarm?.stop();
  await rm(directory, { recursive: true, force: true });
});

test("any one disk that holds the heads restarts the run", async () => {
  const last = swarm.peers[2]!;
  const kept = new Set<string>();
  const ready = new Promise<void>((resolve) => {
    swarm.onEvent((peer, event) => {
      if (peer !== last) return;
      if (event.type === "kept") kept.add(event.cid);
      const trained = trainedOf(peer).size > 0 && [...trainedOf(peer).values()].every((g) => g >= 1);
      const holds = [...peer.heads.values()].every((cid) => peer.holds.has(cid));
      if (kept.size === OBJECTS && trained && holds) resolve();
    });
  });
  await awaited("a third peer that keeps all objects and has trained", ready);
  const before = trainedOf(last);
  await Promise.all(swarm.peers.map((peer) => peer.kill()));
  for (const name of ["peer-1", "peer-2"])
    await rm(path.join(directory, name), { recursive: true, force: true });

  const model = await openFolderModel(path.join(directory, last.name));
  assert.equal(
    (await seedParameters(model, signal)).length,
    elementsOfPath(model.shape),
    "it routes prompts",
  );

  const again = swarm.start(last.name);
  const first = new Map<string, number>();
  const further = new Promise<void>((resolve) => {
    swarm.onEvent((peer, event) => {
      if (peer !== again || event.type !== "head") return;
      if (!first.has(event.module)) first.set(event.module, event.generation);
      if ([...before].every(([module, generation]) => again.generations.get(module)! > generation)) resolve();
    });
  });
  await awaited("new heads of all modules", further);
  for (const [module, generation] of before)
    assert.ok(first.get(module)! >= generation, `${module} went on from generation ${generation}`);
});
