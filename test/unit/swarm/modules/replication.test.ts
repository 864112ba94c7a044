import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CID } from "multiformats/cid";
import { genesisOf, Manifest, ROUTER } from "../../../../src/objects/manifest.ts";
import { rawBlock } from "../../../../src/objects/object.ts";
import {
  COPIES,
  createReplication,
  replicatorsOf,
  replicatedObjects,
} from "../../../../src/swarm/modules/replication.ts";
import { samples } from "../../objects/samples.ts";

const workers = Array.from({ length: 9 }, (_, index) => `peer-${index}`);
const objects = Array.from({ length: 40 }, (_, index) => rawBlock(Uint8Array.of(index)).cid);

/** All that a peer comes to keep when every fetch succeeds. */
function keepAll(self: string, members: string[]): CID[] {
  const replication = createReplication("run", self, objects);
  const kept: CID[] = [];
  // A look may end without an object; as many looks as there are objects see all.
  for (let look = 0; look < 2 * objects.length; look++) {
    const object = replication.next(members);
    if (object === undefined) continue;
    replication.kept(object);
    kept.push(object);
  }
  return kept;
}

test("every object is kept by three peers, by all when there are fewer, and the duties spread", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(workers, { minLength: 1 }), (members) => {
      const copies = new Map(objects.map((object) => [object.toString(), 0]));
      for (const peer of members)
        for (const object of keepAll(peer, members))
          copies.set(object.toString(), copies.get(object.toString())! + 1);
      for (const count of copies.values()) assert.equal(count, Math.min(COPIES, members.length));
    }),
    { numRuns: 30 },
  );
  for (const peer of workers) assert.ok(keepAll(peer, workers).length < objects.length / 1.5);
});

test("when a replicator leaves, one other peer takes its place", () => {
  for (const object of objects) {
    const [gone, ...stay] = replicatorsOf("run", object, workers);
    const next = replicatorsOf(
      "run",
      object,
      workers.filter((peer) => peer !== gone),
    );
    assert.deepEqual(next.slice(0, COPIES - 1), stay);
    assert.ok(!stay.includes(next[COPIES - 1]!) && next[COPIES - 1] !== gone);
  }
});

test("what cannot be had now does not keep a peer from the rest", () => {
  const replication = createReplication("run", "peer-0", objects);
  const asked = new Set(objects.map(() => replication.next(["peer-0"])!.toString()));
  assert.equal(asked.size, objects.length);
});

test("replication holds each data object of a manifest once, those of a first start first, and the warm start", () => {
  const manifest = Manifest.decode(
    Manifest.encode(samples.find(({ name }) => name === "manifest")!.value as Manifest).bytes,
  );
  const [one, two] = objects as [CID, CID];
  assert.deepEqual(replicatedObjects(manifest, [one, two, one]).map(String), [
    manifest.tokenizer.toString(),
    genesisOf(manifest, ROUTER)!.toString(),
    manifest.validation.shard.toString(),
    one.toString(),
    two.toString(),
  ]);
});
