/**
 * A real swarm: a bootstrap and four peers as processes on loopback TCP, real text, real blocks on disk. One peer is
 * killed in the middle of a round and started again from its disk.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type LocalSwarm, startLocalSwarm } from "../../node/local-swarm.ts";
import type { PeerProcess } from "../../node/peer-process.ts";
import { observe } from "../../node/observe.ts";
import { genesisOf } from "../../src/objects/manifest.ts";
import { createTinyRun, ROUNDS } from "./tiny-run.ts";
import { awaited, patient } from "../waits.ts";

const signal = patient;
let directory: string;
let swarm: LocalSwarm;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-swarm-"));
  const run = await createTinyRun(directory, path.join(directory, "peer-1"));
  swarm = await startLocalSwarm({ directory, peers: 4, run, logLevel: "warn", signal });
});

after(async () => {
  await swarm?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Resolves when a peer other than the creator is in the middle of a round after the first. */
function inMidRound(): Promise<{ victim: PeerProcess; path: number; round: number }> {
  const found = new Promise<{ victim: PeerProcess; path: number; round: number }>((resolve) => {
    swarm.onEvent((peer, event) => {
      if (
        event.type === "step" &&
        event.round >= 1 &&
        event.step >= 2 &&
        event.step < event.steps &&
        peer.name !== "peer-1"
      )
        resolve({ victim: peer, path: event.path, round: event.round });
    });
  });
  return awaited("a peer in the middle of a round", found);
}

function contributed(round: number, ofPath: number): Promise<string> {
  const done = new Promise<string>((resolve) => {
    swarm.onEvent((peer, event) => {
      if (
        event.type === "lease" &&
        event.state === "completed" &&
        event.path === ofPath &&
        event.round === round
      )
        resolve(peer.name);
    });
  });
  return awaited(`round ${round} of path ${ofPath}`, done);
}

test("a peer killed in mid-round loses nothing: others take its path over, and it joins again from its disk", async () => {
  const offences: string[] = [];
  swarm.onEvent((_, event) => {
    if (event.type === "offence") offences.push(`${event.offence}: ${event.reason}`);
  });
  const { victim, path: lost, round } = await inMidRound();
  const takenOver = contributed(round, lost);
  await victim.kill();
  const successor = await takenOver;
  assert.notEqual(successor, victim.name);

  const again = swarm.start(victim.name);
  await swarm.complete(signal);
  assert.ok(again.running && again.done, "the killed peer took part again");

  assert.deepEqual(offences, [], "honest peers find no fault with each other");

  const { heads } = swarm.peers[0]!;
  assert.ok(heads.size > 0);
  for (const peer of swarm.peers) assert.deepEqual(peer.heads, heads, `${peer.name} has the same heads`);

  await observe(
    { invite: swarm.invite, data: "", bootstrap: [], mdns: false, "log-level": "warn" },
    signal,
    async ({ swarm: seen, topology, manifest }) => {
      assert.deepEqual(
        new Map(seen.heads().map(({ module, cid }) => [module, cid])),
        heads,
        "an observer finds the same heads",
      );
      for (const { name, paths } of topology.modules) {
        const lineage = seen.lineage(name);
        for (const through of paths)
          for (let r = 0; r < ROUNDS; r++)
            assert.ok(
              lineage.completed({ work: "train", round: r, path: through, replica: 0 }),
              `${name}: round ${r} of path ${through} is complete`,
            );
        const folded = lineage.ancestry().flatMap((version) => version.contributions.map(String));
        assert.equal(new Set(folded).size, folded.length, `${name}: nothing is folded twice`);
        const unfolded = lineage
          .contributions()
          .filter(({ cid }) => !lineage.folded(cid))
          .map(({ cid }) => String(cid));
        const rejected = lineage.rejected().map(({ cid }) => String(cid));
        assert.deepEqual(unfolded.toSorted(), rejected.toSorted(), `${name}: nothing is silently dropped`);
        assert.ok(
          lineage.descends(lineage.head().cid, genesisOf(manifest, name)!),
          `${name} descends from genesis`,
        );
        assert.equal(await seen.audit(name, () => {}), undefined, `${name} folds again to the same CIDs`);
      }
    },
  );
});
