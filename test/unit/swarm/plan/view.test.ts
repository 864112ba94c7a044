/** What a view keeps from one question to the next must be what it would find out anew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RUN } from "../../../../src/sim/large/run.ts";
import { ownersOf } from "../../../../src/swarm/members/rendezvous.ts";
import type { Offer } from "../../../../src/swarm/plan/offers.ts";
import {
  carryOut,
  contributionTo,
  createLineages,
  createWorld,
  peers,
  runConfig,
  steps,
  topology,
  type World,
} from "../hearsay.ts";

/** Asks everybody's offers, some of whom discount what others signed. */
function offersOf({ view, lineages }: World, now: number): (readonly Offer[])[] {
  view.prune(now);
  return peers.map((peer, index) => {
    if (index % 2 === 0) return view.offers(peer, now);
    const foreign = [...lineages.values()]
      .flatMap((lineage) => lineage.pending())
      .filter(({ signer }) => signer === peers[index - 1]);
    const discount = new Map(foreign.map((contribution) => [contribution.cid.toString(), contribution]));
    return view.offers(peer, now, discount.size === 0 ? undefined : discount);
  });
}

test("offers are kept only while they would be found again", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const [kept, anew] = [createWorld(), createWorld()];
      let now = 0;
      for (const [index, step] of history.entries()) {
        now += step.wait;
        for (const world of [kept, anew]) carryOut(world, step, index, now);
        // Who looks at the slots again must make the offers again.
        const [nothing] = createLineages().values();
        anew.view.contributed({ ...contributionTo(nothing!, 0, 0, "nobody"), round: -1 });
        assert.deepEqual(offersOf(kept, now), offersOf(anew, now));
      }
    }),
    { numRuns: 200 },
  );
});

test("duties follow from who is live, whoever came and went before", () => {
  fc.assert(
    fc.property(steps, (history) => {
      const { view, lineages } = createWorld();
      let now = 0;
      for (const [index, step] of history.entries()) {
        now += step.wait;
        carryOut({ view, lineages }, step, index, now);
        for (const self of [undefined, "stranger"]) {
          const workers = [...view.workers(now), ...(self === undefined ? [] : [self])];
          const { owners, owned } = view.duties(now, self);
          for (const { name } of topology.modules) {
            const expected = ownersOf(RUN.toString(), name, workers, runConfig.swarm.owners);
            assert.deepEqual(owners.get(name), expected);
          }
          for (const peer of workers) {
            const modules = topology.modules.map(({ name }) => name);
            const expected = modules.filter((name) => owners.get(name)!.includes(peer));
            assert.deepEqual(owned.get(peer) ?? [], expected);
          }
        }
      }
    }),
    { numRuns: 100 },
  );
});
