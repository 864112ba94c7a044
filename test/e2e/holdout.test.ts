/**
 * Runs that try contributions on held-out text, where too few contribute for an average to help: work that makes a path
 * worse is refused by every peer alike, with the version that folded it, and honest work is not.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { createLogger } from "../../src/log.ts";
import type { KnownContribution } from "../../src/outer/types.ts";
import { createPacks } from "../../src/store/pack.ts";
import { createModuleStates } from "../../src/swarm/modules/module-states.ts";
import { noise } from "../integration/store/support.ts";
import { type HonestPeer, intrude, openHonestSwarm, targetAt } from "./intruder.ts";
import { patient } from "../waits.ts";

const TOLERANCE = 0.1;

async function open(
  t: TestContext,
  swarm: Record<string, unknown>,
  lines: string[] = [],
): Promise<{ folder: string; peers: HonestPeer[] }> {
  const folder = await mkdtemp(path.join(tmpdir(), "pathweave-holdout-"));
  // Plain JavaScript tries each contribution, so two rounds of few steps: the second starts from versions that were tried.
  const changes = {
    swarm,
    training: { rounds: 2, innerSteps: 20 },
    outer: { holdout: { tolerance: TOLERANCE } },
  };
  const logger = createLogger("debug", (line) => lines.push(line));
  const peers = await openHonestSwarm(folder, 2, changes, { logger });
  t.after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    await rm(folder, { recursive: true, force: true });
  });
  return { folder, peers };
}

test("honest training passes", async (t) => {
  const lines: string[] = [];
  const { peers } = await open(t, {}, lines);
  for (const peer of peers) await peer.said(({ type }) => type === "done");
  const tried = lines.flatMap((line) => {
    const [, from, to] = / from (\d+\.\d+) to (\d+\.\d+)$/.exec(line) ?? [];
    return from === undefined ? [] : [Number(to) - Number(from)];
  });
  t.diagnostic(`${tried.length} tries; the loss rose by ${Math.max(...tried).toFixed(4)} at most`);
  assert.ok(tried.length > 0);
  for (const { events, swarm, topology } of peers) {
    assert.deepEqual(
      events.filter(({ type }) => type === "rejected" || type === "offence"),
      [],
    );
    for (const { name } of topology.modules)
      for (const { bases, cid } of swarm.lineage(name).contributions()) {
        assert.ok(bases.some(({ module }) => module === name));
        assert.ok(swarm.lineage(name).folded(cid));
      }
  }
});

test("a contribution that makes its path worse is refused, and so is a version that folds it", async (t) => {
  const { folder, peers } = await open(t, {
    settleSeconds: 3600,
    leaseSeconds: 7200,
    graceSeconds: 3600,
    owners: 2,
  });
  const [first] = peers as [HonestPeer];
  const { manifest, topology } = first;
  const { name: module, paths } = topology.modules.find((each) => each.paths.length === 2)!;
  const target = await targetAt(first, module);
  const forPath = paths[0]!;
  const bases = topology
    .basesOfPath(forPath)
    .map((name) => ({ module: name, version: first.swarm.lineage(name).head().cid }));

  // Of a size that neither bounds nor norms tell from training.
  const eve = await intrude(t, folder, peers);
  const delta = Float32Array.from(noise(1, target.elements), (byte) => (byte - 127.5) / 500);
  const poison = await eve.contribution(target, forPath, delta, { bases });
  const key = poison.cid.toString();
  await eve.announce(module, poison);
  for (const peer of peers) {
    const { reason } = (await peer.said((event) => event.type === "rejected" && event.cid === key)) as {
      reason: string;
    };
    assert.match(reason, /It raises the loss on held-out text of path \d from \d+\.\d+ to \d+\.\d+/);
    await peer.said((event) => event.type === "offence" && event.peer === eve.id);
    assert.deepEqual(peer.swarm.lineage(module).pending(), []);
  }
  const reasons = peers.map(({ swarm }) => swarm.lineage(module).refusal(poison.cid));
  assert.equal(new Set(reasons).size, 1, "all came to the same numbers");

  const dora = await intrude(t, folder, peers);
  const states = createModuleStates({
    packs: createPacks(dora.store),
    outer: manifest.config.outer,
    tensors: () => target.tensors,
    weightOf: ({ path: ofPath }) => manifest.shards[ofPath]!.tokens,
  });
  const genesis = first.swarm.lineage(module).head();
  const known = first.swarm.lineage(module).contribution(poison.cid) as KnownContribution;
  const holders = peers.map(({ network }) => network.peerId);
  const signal = patient;
  const { block } = await states.fold(genesis, holders, [known], () => holders, signal);
  await dora.announce(module, block);
  for (const peer of peers) {
    await peer.said((event) => event.type === "offence" && event.offence === "invalid-version");
    await peer.said((event) => event.type === "blocked" && event.peer === dora.id);
    assert.ok(peer.swarm.lineage(module).head().cid.equals(genesis.cid));
  }
});

test("a contribution that does not say all that it started from is against the rules", async (t) => {
  const { folder, peers } = await open(t, { settleSeconds: 3600, leaseSeconds: 7200 });
  const { topology } = peers[0]!;
  const { name: module, paths } = topology.modules.find((each) => each.paths.length === 2)!;
  const eve = await intrude(t, folder, peers);
  const target = await targetAt(peers[0]!, module);
  const bases = [{ module, version: peers[0]!.swarm.lineage(module).head().cid }];
  const delta = new Float32Array(target.elements);
  await eve.announce(module, await eve.contribution(target, paths[0]!, delta, { bases }));
  for (const peer of peers)
    await peer.said((event) => event.type === "offence" && event.offence === "invalid-record");
});
