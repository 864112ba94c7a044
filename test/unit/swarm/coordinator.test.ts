/** The swarm's decisions under a virtual clock, over many seeds: the same code that the daemon runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Slot } from "../../../src/swarm/coordinator.ts";
import { config, Simulation, type SimulationEvent } from "./support.ts";

const HOUR = 3_600_000;
const LEASE_MS = 10_000;
const seeds = fc.nat(1_000_000);

/** Contract: one head everywhere, every contribution folded once or rejected with a reason, all rounds complete. */
function assertContract(simulation: Simulation, rounds: number, replicas = 1): void {
  const live = simulation.nodes.filter((node) => node.alive);
  for (const { name: module, paths } of simulation.topology.modules) {
    const lineages = live.map((node) => node.lineages.get(module)!);
    const heads = new Set(lineages.map((lineage) => lineage.head().cid.toString()));
    assert.equal(heads.size, 1, `${module} has one head`);
    const [lineage] = lineages;
    for (const path of paths)
      for (let round = 0; round < rounds; round++)
        for (let replica = 0; replica < replicas; replica++)
          assert.ok(lineage!.completed(round, path, replica), `${module} round ${round} path ${path}`);
    const folded = lineage!.ancestry().flatMap((version) => version.contributions.map(String));
    assert.equal(new Set(folded).size, folded.length, `${module}: nothing folded twice`);
    const rejected = new Set(lineage!.rejected().map(({ cid }) => cid.toString()));
    for (const { cid } of lineage!.contributions())
      assert.ok(
        folded.includes(cid.toString()) || rejected.has(cid.toString()),
        `${module}: ${cid} is not lost`,
      );
  }
}

type StartEvent = SimulationEvent & { slot: Slot };

const starts = (events: SimulationEvent[]): StartEvent[] =>
  events.filter((event): event is StartEvent => event.type === "start");

function check(peers: number, options: Parameters<typeof config>[0], runs = 15): void {
  fc.assert(
    fc.property(seeds, (seed) => {
      const runConfig = config(options);
      const simulation = new Simulation({ peers, seed, config: runConfig });
      assert.ok(simulation.run(HOUR), "the run completes");
      assertContract(simulation, runConfig.training.rounds, runConfig.replicas);
    }),
    { numRuns: runs },
  );
}

test("as many peers as paths complete every round", () => check(4, {}));
test("one peer trains all paths", () => check(1, {}, 5));
test("fewer peers than paths share them", () => check(3, {}));
test("more peers than paths do no harm", () => check(9, {}, 8));
test("replicas of a path are separate work", () => check(5, { replicas: 2, rounds: 2 }, 8));
test("a dense run is one path", () => check(2, { grid: [1] }, 8));

test("without faults nobody does the same work twice", () => {
  let started = 0;
  let needed = 0;
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 4, seed, config: config() });
      assert.ok(simulation.run(HOUR));
      started += starts(simulation.events).length;
      needed += 4 * 3;
    }),
    { numRuns: 30 },
  );
  // Messages take a tenth of the settle time, so claims are known before work begins.
  assert.equal(started, needed);
});

test("a killed peer's slot is taken over within two lease times, and the run completes", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 4000, max: 20_000 }), fc.nat(3), (seed, killAt, victim) => {
      const simulation = new Simulation({ peers: 4, seed, config: config() });
      let lost: { slot: Slot; at: number } | undefined;
      let killed = false;
      const done = simulation.run(HOUR, () => {
        if (killed || simulation.now < killAt) return;
        killed = true;
        const node = simulation.node(`peer-${victim}`);
        if (node.training !== undefined) lost = { slot: node.training.slot, at: simulation.now };
        simulation.kill(node);
      });
      assert.ok(done, "the run completes");
      assertContract(simulation, 3);
      if (lost === undefined) return;
      const { slot, at } = lost;
      const same = (event: StartEvent): boolean =>
        event.at > at && event.slot.path === slot.path && event.slot.round === slot.round;
      const takeover = starts(simulation.events).find(same);
      assert.ok(takeover !== undefined, "somebody takes the slot over");
      // A survivor has capacity once it has finished its own round, which takes at most 6 s here.
      assert.ok(takeover.at - at <= 2 * LEASE_MS + 6000, `taken over after ${takeover.at - at} ms`);
    }),
    { numRuns: 25 },
  );
});

test("when the first owner of a module dies, the next one publishes", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 5, seed, config: config({ rounds: 2 }) });
      let owner: string | undefined;
      const done = simulation.run(HOUR, () => {
        if (owner !== undefined || simulation.now < 5000) return;
        [owner] = simulation.nodes[0]!.coordinator.owners("embedding/0", simulation.now);
        simulation.kill(simulation.node(owner!));
      });
      assert.ok(done);
      assertContract(simulation, 2);
      const folds = simulation.events.filter((event) => event.type === "fold" && event.at > 5000);
      assert.ok(folds.length > 0 && folds.every((event) => event.peer !== owner));
    }),
    { numRuns: 12 },
  );
});

test("a generation closes without the missing after the grace time, and late work is folded next or rejected", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 4, seed, config: config({ rounds: 3 }) });
      let healed = false;
      let cutAt: number | undefined;
      const victim = simulation.node("peer-0");
      const done = simulation.run(HOUR, () => {
        // The victim trains on behind a partition, which outlasts lease and grace time.
        if (cutAt === undefined && victim.training !== undefined) {
          cutAt = simulation.now;
          simulation.cut.add("peer-0");
        }
        if (!healed && cutAt !== undefined && simulation.now > cutAt + 45_000) {
          healed = true;
          simulation.cut.clear();
        }
      });
      assert.ok(done);
      // Anti-entropy after the heal brings everybody to one head; a late fold waits for the grace time.
      simulation.cut.clear();
      simulation.settle(90_000);
      assertContract(simulation, 3);
    }),
    { numRuns: 12 },
  );
});

test("two halves that trained apart agree after they meet, and fold what the losing side did", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 20_000, max: 90_000 }), (seed, length) => {
      const runConfig = config({ rounds: 4, swarm: { graceSeconds: 8 } });
      const simulation = new Simulation({ peers: 6, seed, config: runConfig });
      const half = ["peer-0", "peer-1", "peer-2"];
      simulation.run(8000);
      for (const name of half) simulation.cut.add(name);
      simulation.run(8000 + length);
      simulation.cut.clear();
      assert.ok(simulation.run(simulation.now + HOUR));
      simulation.settle(60_000);
      assertContract(simulation, 4);
    }),
    { numRuns: 10 },
  );
});
