import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ownersOf, rendezvous } from "../../../../src/swarm/members/rendezvous.ts";

const peers = Array.from({ length: 12 }, (_, index) => `peer-${index}`);

test("all peers get one order, however they list the members", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(peers, { minLength: 1 }), fc.string(), (members, key) => {
      assert.deepEqual(rendezvous([key], members), rendezvous([key], members.toSorted()));
    }),
  );
});

test("a peer that leaves moves nobody else", () => {
  fc.assert(
    fc.property(fc.constantFrom(...peers), fc.string(), (gone, key) => {
      const rest = peers.filter((peer) => peer !== gone);
      assert.deepEqual(
        rendezvous([key], rest),
        rendezvous([key], peers).filter((peer) => peer !== gone),
      );
    }),
  );
});

test("the first few are the start of the whole order", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(peers), fc.string(), fc.nat(14), (members, key, count) => {
      assert.deepEqual(rendezvous([key], members, count), rendezvous([key], members).slice(0, count));
    }),
  );
});

test("duties spread over the peers", () => {
  const duties = new Map<string, number>();
  for (let module = 0; module < 600; module++) {
    const [first] = ownersOf("run", `level/${module}`, peers, 2);
    duties.set(first!, (duties.get(first!) ?? 0) + 1);
  }
  for (const peer of peers) {
    const count = duties.get(peer) ?? 0;
    assert.ok(count > 20 && count < 90, `${peer} has ${count} of 600 duties, 50 expected`);
  }
});
