/**
 * A version whose outer gradient nobody can have: its publisher withholds it, or died with the only copy. It has most
 * weight, so it is the head by the rules, and nobody could build on it.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Contribution } from "../../src/objects/contribution.ts";
import { createPacks } from "../../src/store/pack.ts";
import { knownContribution } from "../../src/outer/records.ts";
import { createModuleStates } from "../../src/swarm/modules/module-states.ts";
import { noise } from "../integration/store/support.ts";
import { intrude, openHonestSwarm, targetAt } from "./intruder.ts";
import { patient } from "../waits.ts";

test("a version whose outer gradient is withheld is passed over, and taken back when it can be had", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "pathweave-withheld-"));
  const swarm = { settleSeconds: 3600, leaseSeconds: 7200, graceSeconds: 1, owners: 2 };
  const peers = await openHonestSwarm(folder, 2, { swarm });
  t.after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    await rm(folder, { recursive: true, force: true });
  });
  const [{ manifest, topology }] = peers as [(typeof peers)[0]];
  const eve = await intrude(t, folder, peers);
  eve.keepAlive();
  const { name: module, paths } = topology.modules.find((each) => each.paths.length === 2)!;
  const target = await targetAt(peers[0]!, module);
  const genesis = peers[0]!.swarm.lineage(module).head();

  // A true fold of a true contribution, made where nobody else sees its tensors.
  const packs = createPacks(eve.store);
  const delta = Float32Array.from(noise(1, target.elements), (byte) => (byte - 127.5) / 1e6);
  const contribution = await eve.contribution(target, paths[0]!, delta);
  const known = knownContribution(await Contribution.open(contribution.bytes), contribution.cid);
  const states = createModuleStates({
    packs,
    outer: manifest.config.outer,
    tensors: () => target.tensors,
    weightOf: ({ path: ofPath }) => manifest.shards[ofPath]!.tokens,
  });
  const holders = peers.map(({ network }) => network.peerId);
  const signal = patient;
  const { block, version } = await states.fold(genesis, holders, [known], () => [], signal);
  const hidden = [known.delta, ...Object.values(version.state)];
  const cids = (await Promise.all(hidden.map((pack) => packs.blocks(pack)))).flat();
  const blocks = await Promise.all(cids.map(async (cid) => ({ cid, bytes: await eve.store.get(cid) })));
  await eve.store.sweep(0);
  for (const cid of cids) assert.equal(await eve.store.local(cid), undefined);

  await eve.announce(module, contribution);
  await eve.announce(module, block);
  const cid = version.cid.toString();
  for (const peer of peers) {
    await peer.said((event) => event.type === "head" && event.cid === cid);
    await peer.said((event) => event.type === "passed-over" && event.cid === cid);
    assert.ok(peer.swarm.lineage(module).head().cid.equals(genesis.cid), "it builds on what can be had");
  }
  await eve.store.put(blocks);
  for (const peer of peers) {
    const taken = await peer.said((event) => event.type === "version" && event.cid === cid);
    assert.ok(taken.type === "version" && taken.how !== "fetched", "it was folded again");
    assert.ok(peer.swarm.lineage(module).head().cid.equals(version.cid));
    assert.deepEqual(
      peer.events.filter(({ type }) => type === "offence"),
      [],
      "it cannot be told from a slow link",
    );
  }
});
