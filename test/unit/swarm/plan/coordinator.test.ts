/** The swarm's decisions under a virtual clock, over many seeds: the same code that the daemon runs. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { rawBlock } from "../../../../src/objects/object.ts";
import type { Lineage } from "../../../../src/outer/lineage.ts";
import { Version } from "../../../../src/objects/version.ts";
import type { KnownVersion } from "../../../../src/outer/types.ts";
import { Coordinator, type Decision } from "../../../../src/swarm/plan/coordinator.ts";
import { yields } from "../../../../src/swarm/plan/leases.ts";
import { heartbeat, RUN } from "../../../../src/sim/large/run.ts";
import { Simulation, type SimulationEvent } from "../../../../src/sim/large/simulation.ts";
import { config } from "../fast-run.ts";
import { carryOut, createWorld, peers, plan, runConfig, steps, topology } from "../hearsay.ts";
import { slotKey } from "../../../../src/plan/slots.ts";
import type { Slot } from "../../../../src/plan/types.ts";

const HOUR = 3_600_000;
const LEASE_MS = 10_000;
const seeds = fc.nat(1_000_000);

/** Contract: one head everywhere, every contribution folded once or rejected with a reason, all rounds complete. */
function assertContract(simulation: Simulation, rounds: number, replicas = 1): void {
  // Each peer is done by what it knows; what is under way to it still arrives.
  simulation.settle(5000);
  const live = simulation.peers.filter((peer) => peer.alive);
  for (const { name: module, paths } of simulation.topology.modules) {
    const lineages = live.map((peer) => peer.lineages.get(module)!);
    const heads = new Set(lineages.map((lineage) => lineage.head().cid.toString()));
    assert.equal(heads.size, 1, `${module} has one head`);
    const [lineage] = lineages;
    for (const path of paths)
      for (let round = 0; round < rounds; round++)
        for (let replica = 0; replica < replicas; replica++)
          assert.ok(lineage!.completed({ round, path, replica }), `${module} round ${round} path ${path}`);
    const folded = lineage!.ancestry().flatMap((version) => version.contributions.map(String));
    assert.equal(new Set(folded).size, folded.length, `${module}: nothing folded twice`);
    const rejected = new Set(lineage!.rejected().map(({ cid }) => cid.toString()));
    for (const { cid, signer, round, path, replica } of lineage!.contributions()) {
      if (folded.includes(cid.toString()) || rejected.has(cid.toString())) continue;
      // What a peer takes with it, before anybody has its tensors, is trained again.
      const held = live.some(({ name, disk }) => name === signer || disk.has(cid.toString()));
      const again = lineage!
        .contributions()
        .some((c) => c.round === round && c.path === path && c.replica === replica && lineage!.folded(c.cid));
      assert.ok(!held && again, `${module}: ${cid} is not lost`);
    }
  }
}

type StartEvent = SimulationEvent & { slot: Slot };

const starts = (events: SimulationEvent[]): StartEvent[] =>
  events.filter((event): event is StartEvent => event.type === "start");

function check(peers: number, options: Parameters<typeof config>[0], runs = 10): void {
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
test("more peers than paths do no harm", () => check(9, {}, 4));
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
    { numRuns: 15 },
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
        const peer = simulation.peer(`peer-${victim}`);
        if (peer.training !== undefined) lost = { slot: peer.training.slot, at: simulation.now };
        simulation.kill(peer);
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
    // It dies in the moment in which it has announced its work.
    { numRuns: 15, examples: [[17, 10_167, 1]] },
  );
});

test("when the first owner of a module dies, the next one publishes", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 5, seed, config: config({ rounds: 2 }) });
      let owner: string | undefined;
      const done = simulation.run(HOUR, () => {
        if (owner !== undefined || simulation.now < 5000) return;
        [owner] = simulation.peers[0]!.coordinator.owners("embedding/0", simulation.now);
        simulation.kill(simulation.peer(owner!));
      });
      assert.ok(done);
      assertContract(simulation, 2);
      const folds = simulation.events.filter((event) => event.type === "fold" && event.at > 5000);
      assert.ok(folds.length > 0 && folds.every((event) => event.peer !== owner));
    }),
    { numRuns: 8 },
  );
});

test("a generation closes without the missing after the grace time, and late work is folded next or rejected", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 4, seed, config: config({ rounds: 3 }) });
      let healed = false;
      let cutAt: number | undefined;
      const victim = simulation.peer("peer-0");
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
    { numRuns: 8 },
  );
});

test("a generation closes by quorum after the grace time, and what comes later is folded next", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      // Leases are long, so nobody takes over from the one who takes a minute for a round.
      const simulation = new Simulation({ peers: 4, seed, config: config({ rounds: 2 }) });
      simulation.slowness.set("peer-0", 15);
      assert.ok(simulation.run(HOUR), "the run completes");
      assertContract(simulation, 2);
      const slow = starts(simulation.events).find(({ peer }) => peer === "peer-0")!.slot;
      for (const module of simulation.topology.modulesOfPath(slow.path)) {
        const lineage = simulation.peers[1]!.lineages.get(module)!;
        const [late] = lineage.contributions().filter((c) => c.round === slow.round && c.path === slow.path);
        const folder = lineage
          .ancestry()
          .find(({ contributions }) => contributions.some((c) => c.equals(late!.cid)));
        assert.ok(
          folder !== undefined && folder.generation > 1,
          `${module}: folded in ${folder?.generation}`,
        );
        const first = simulation.events.find((e) => e.type === "fold" && e.module === module)!;
        const pending = simulation.events.find((e) => e.type === "complete")!;
        assert.ok(first.at - pending.at >= 29_000, `closed ${first.at - pending.at} ms after the first`);
      }
    }),
    { numRuns: 4 },
  );
});

test("work over maxStaleness generations old is rejected with that reason, and the run goes on", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const runConfig = config({ rounds: 3, maxStaleness: 0, swarm: { graceSeconds: 8 } });
      const simulation = new Simulation({ peers: 4, seed, config: runConfig });
      simulation.slowness.set("peer-0", 15);
      assert.ok(simulation.run(HOUR), "the run completes");
      assertContract(simulation, 3);
      const rejected = [...simulation.peers[1]!.lineages.values()].flatMap((lineage) => lineage.rejected());
      assert.ok(rejected.length > 0);
      for (const { reason } of rejected) assert.match(reason, /over 0 generations older/);
    }),
    { numRuns: 4 },
  );
});

test("two that claim a slot at once settle to one trainer, unless both did half of it before they met", () => {
  const seen = { one: 0, two: 0 };
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 5500 }), (seed, apart) => {
      // One path and two peers that do not hear each other until both have been training for a while.
      const simulation = new Simulation({ peers: 2, seed, config: config({ grid: [1], rounds: 1 }) });
      simulation.cut.add("peer-0");
      const [a, b] = simulation.peers as [Simulation["peers"][0], Simulation["peers"][0]];
      let shares: ((at: number) => number)[] | undefined;
      let met = 0;
      const done = simulation.run(HOUR, () => {
        if (shares !== undefined || a.training === undefined || b.training === undefined) return;
        if (simulation.now < Math.max(a.training.start, b.training.start) + apart) return;
        simulation.cut.clear();
        met = simulation.now;
        shares = [a.training, b.training].map(
          ({ start, end }) =>
            (at) =>
              (at - start) / (end - start),
        );
      });
      // One may have been done before the other was ever heard.
      fc.pre(shares !== undefined);
      assert.ok(done);
      assertContract(simulation, 1);
      const finished = simulation.events.filter(({ type }) => type === "complete").length;
      // A heartbeat and a tick later both know of each other.
      if (shares.every((share) => share(met + 1300) < 0.5)) {
        assert.equal(finished, 1, "one yields");
        seen.one++;
      } else if (shares.every((share) => share(met) >= 0.52)) {
        assert.equal(finished, 2, "both are more than half done, so both finish");
        seen.two++;
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(seen.one > 3 && seen.two > 3, JSON.stringify(seen));
});

test("outer gradients that died with their peer are trained again", () => {
  fc.assert(
    fc.property(seeds, fc.constantFrom<number[]>([1], [2, 2]), (seed, grid) => {
      const simulation = new Simulation({ peers: 4, seed, config: config({ grid, rounds: 2 }) });
      for (const { name } of simulation.peers) simulation.withheld.add(name);
      let victim: string | undefined;
      const done = simulation.run(HOUR, () => {
        const first = simulation.events.find(({ type }) => type === "complete");
        if (victim !== undefined || first === undefined) return;
        // The first to contribute dies before anybody has fetched its tensors; only its records have spread.
        victim = first.peer;
        simulation.withheld.clear();
        simulation.withheld.add(victim);
        simulation.kill(simulation.peer(victim));
      });
      assert.ok(done, "the run completes");
      for (const peer of simulation.peers.filter(({ alive }) => alive))
        for (const [module, lineage] of peer.lineages) {
          const others = lineage.contributions().filter(({ signer }) => signer !== victim);
          assert.ok(
            others.every(({ cid }) => lineage.folded(cid)),
            `${module}: all that can be had is folded`,
          );
          assert.ok(lineage.pending().every(({ signer }) => signer === victim));
        }
    }),
    { numRuns: 8 },
  );
});

test("a peer whose contributions are refused ends nobody's round", () => {
  fc.assert(
    fc.property(seeds, fc.constantFrom<number[]>([1], [2, 2]), (seed, grid) => {
      const simulation = new Simulation({ peers: 4, seed, config: config({ grid, rounds: 2 }) });
      simulation.poisoned.add("peer-0");
      assert.ok(simulation.run(HOUR), "the honest complete the run");
      simulation.settle(5000);
      const honest = simulation.peers.filter(({ name }) => name !== "peer-0");
      for (const { name: module, paths } of simulation.topology.modules) {
        const heads = new Set(honest.map(({ lineages }) => lineages.get(module)!.head().cid.toString()));
        assert.equal(heads.size, 1);
        const lineage = honest[0]!.lineages.get(module)!;
        const folded = lineage.contributions().filter(({ cid }) => lineage.folded(cid));
        assert.ok(folded.every(({ signer }) => signer !== "peer-0"));
        for (const path of paths)
          for (let round = 0; round < 2; round++)
            assert.ok(
              folded.some((c) => c.path === path && c.round === round),
              `${module} ${round}/${path}`,
            );
      }
    }),
    { numRuns: 8, examples: [[16, [2, 2]]] },
  );
});

test("a peer that hangs but still talks holds its slot up only for a while", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 5, seed, config: config() });
      simulation.slowness.set("peer-0", Number.POSITIVE_INFINITY);
      assert.ok(simulation.run(HOUR), "the run completes");
      assertContract(simulation, 3);
      const hung = starts(simulation.events).filter(({ peer }) => peer === "peer-0");
      for (const { at, slot } of hung) {
        const same = (event: StartEvent): boolean =>
          event.peer !== "peer-0" && event.slot.path === slot.path && event.slot.round === slot.round;
        const takeover = starts(simulation.events).find(same);
        assert.ok(takeover !== undefined && takeover.at - at <= 11 * LEASE_MS + 6000);
      }
    }),
    { numRuns: 4 },
  );
});

test("a goodbye frees the slot at once", () => {
  const simulation = new Simulation({ peers: 1, seed: 1, config: config({ grid: [1], rounds: 1 }) });
  const [{ coordinator }] = simulation.peers as [Simulation["peers"][0]];
  const slot = { round: 0, path: 0, replica: 0 };
  const now = 1000;
  coordinator.heard("visitor", heartbeat({ sequence: 1, leases: [{ ...slot, progress: 0.9 }] }), now);
  assert.equal(coordinator.leases.on(slot, now + 1).length, 1);
  assert.ok(coordinator.workers(now + 1).includes("visitor"));
  coordinator.heard(
    "visitor",
    heartbeat({ sequence: 2, leaving: true, leases: [{ ...slot, progress: 0.9 }] }),
    now + 1,
  );
  assert.deepEqual(coordinator.leases.on(slot, now + 2), []);
  assert.ok(!coordinator.workers(now + 2).includes("visitor"));
  assert.ok(
    !coordinator.heard("visitor", heartbeat({ sequence: 1, leases: [{ ...slot, progress: 0.9 }] }), now + 3),
  );
  assert.deepEqual(coordinator.leases.on(slot, now + 4), [], "a replay claims nothing");
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
    { numRuns: 6 },
  );
});

test("three peers answer a newcomer, however many there are", () => {
  const simulation = new Simulation({ peers: 30, seed: 5, config: config() });
  simulation.settle(10_000);
  for (let index = 0; index < 20; index++) {
    const hosts = simulation.peers.filter(({ coordinator }) =>
      coordinator.greets(`newcomer-${index}`, simulation.now),
    );
    assert.equal(hosts.length, 3);
  }
});

test("a run is not done while something is missing that others refer to, unless it does not come", () => {
  const runConfig = config({ grid: [1], rounds: 1, swarm: { graceSeconds: 10 } });
  const simulation = new Simulation({ peers: 1, seed: 1, config: runConfig });
  assert.ok(simulation.run(HOUR));
  const [{ coordinator, lineages }] = simulation.peers as [Simulation["peers"][0]];
  const [[, lineage]] = [...lineages] as [[string, Lineage]];
  const head = lineage.head();
  const unknown = rawBlock(Buffer.from("unknown")).cid;
  lineage.addVersion({ ...head, parent: unknown, generation: 5, cid: rawBlock(Buffer.from("later")).cid });
  assert.ok(!coordinator.done());
  simulation.settle(19_000);
  assert.ok(!coordinator.done());
  simulation.settle(2000);
  assert.ok(coordinator.done(), "what does not exist holds nobody up for ever");
});

test("who owns nothing is done, too, when an outer gradient whose signer is live does not come", () => {
  const runConfig = config({ grid: [1], rounds: 1, swarm: { graceSeconds: 10, owners: 1 } });
  const simulation = new Simulation({ peers: 4, seed: 1, config: runConfig });
  assert.ok(simulation.run(HOUR));
  simulation.settle(5000);
  for (const { lineages } of simulation.peers)
    for (const lineage of lineages.values()) {
      const [contribution] = lineage.contributions();
      if (contribution === undefined) continue;
      const signer = simulation.peers.find(({ name }) => name !== contribution.signer)!.name;
      lineage.addContribution({ ...contribution, signer, cid: rawBlock(Buffer.from(lineage.module)).cid });
    }
  const done = (): boolean[] => simulation.peers.map(({ coordinator }) => coordinator.done());
  simulation.settle(5000);
  assert.ok(done().includes(false));
  simulation.settle(65_000);
  assert.deepEqual(done(), [true, true, true, true]);
});

test("an outer gradient that its own peer's disk lost, before anybody had it, is given up and trained again", () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const simulation = new Simulation({ peers: 1, seed, config: config({ grid: [1], rounds: 2 }) });
      simulation.damaged.add("peer-0");
      const done = simulation.run(HOUR, () => {
        if (simulation.events.some(({ type }) => type === "complete")) simulation.damaged.clear();
      });
      assert.ok(done, "the run completes");
      const starts = simulation.events.filter(({ type }) => type === "start");
      assert.equal(starts.length, 3, "one of two rounds was trained twice");
      assertContract(simulation, 2);
    }),
    { numRuns: 5 },
  );
});

test("a peer that comes back within its lease's time lets go of it with its first heartbeat", () => {
  const simulation = new Simulation({ peers: 1, seed: 1, config: config() });
  const { coordinator } = simulation.peers[0]!;
  const slot = { round: 0, path: 1, replica: 0 };
  const leases = [{ ...slot, progress: 0.6 }];
  coordinator.heard("peer-1", heartbeat({ sequence: 1, leases }), 0);
  assert.equal(coordinator.leases.on(slot, 1000).length, 1);
  coordinator.heard("peer-1", heartbeat({ sequence: 2 }), 1000);
  assert.equal(coordinator.leases.on(slot, 1001).length, 0);
});

test("a peer that cannot do a slot leaves it to others, and tries again after two lease times", () => {
  const simulation = new Simulation({ peers: 1, seed: 3, config: config({ grid: [1], rounds: 1 }) });
  const [{ coordinator }] = simulation.peers as [Simulation["peers"][0]];
  const slot = { round: 0, path: 0, replica: 0 };
  const claims = (from: number, to: number): number[] => {
    const times: number[] = [];
    for (let now = from; now < to; now += 500)
      if (coordinator.decide(now).some(({ type }) => type === "claim")) times.push(now);
    return times;
  };
  assert.equal(claims(0, 10_000).length, 1);
  coordinator.failed(slot, 10_000);
  coordinator.released();
  assert.deepEqual(claims(10_000, 60_000), [10_000 + 2 * LEASE_MS]);
});

describe("a round that was kept", () => {
  const slot = { round: 0, path: 2, replica: 0 };
  /** A peer that has kept a share of its round, once it has heard the others out; `rival` is the progress of one who has claimed it. */
  function open(share: number, rival?: number, holder = "rival") {
    const simulation = new Simulation({ peers: 1, seed: 1, config: config() });
    const { coordinator } = simulation.peers[0]!;
    const now = coordinator.listensUntil;
    coordinator.kept(slot, share);
    if (rival !== undefined)
      coordinator.heard(holder, heartbeat({ sequence: 1, leases: [{ ...slot, progress: rival }] }), now - 1);
    return { coordinator, now };
  }
  const claimed = ({ coordinator, now }: ReturnType<typeof open>): boolean => {
    const [decision] = coordinator.decide(now);
    return decision?.type === "claim" && slotKey(decision.slot) === slotKey(slot);
  };

  test("is gone on with before any other, and says how far it is", () => {
    const opened = open(0.25);
    assert.deepEqual(opened.coordinator.decide(opened.now - 1), [], "not before the others are heard out");
    assert.ok(claimed(opened));
    assert.deepEqual(opened.coordinator.notices(), [{ ...slot, progress: 0.25 }]);
  });

  test("is left to who has taken it over, but by those who would yield", () => {
    assert.ok(claimed(open(0.6, 0)), "who has not begun yields to one that is half done");
    assert.ok(!claimed(open(0.6, 0.5)), "who is half done does not");
    // Below that the lower hash keeps it.
    for (const holder of ["ann", "bob", "eve"]) {
      const own = { peer: "peer-0", progress: 0.2 };
      const yielded = yields(RUN.toString(), slot, { peer: holder, progress: 0.1 }, own);
      assert.equal(claimed(open(0.2, 0.1, holder)), yielded);
    }
  });

  test("is forgotten once it is done by another, or another slot is claimed", () => {
    const { coordinator, now } = open(0.6, 0.9);
    assert.equal(coordinator.decide(now).find(({ type }) => type === "claim") === undefined, false);
    coordinator.released();
    coordinator.heard("rival", heartbeat({ sequence: 2, leaving: true }), now + 1);
    const decided = coordinator.decide(now + 2).find((decision) => decision.type === "claim");
    assert.ok(decided !== undefined);
    assert.equal(coordinator.notices()[0]!.progress, 0, "it begins anew");
  });
});

test("a killed peer that comes back goes on with its round, and nobody does it twice", () => {
  const runConfig = config({ grid: [2], rounds: 1 });
  const simulation = new Simulation({
    peers: 2,
    seed: 4,
    config: runConfig,
    roundMs: [60_000, 60_000],
    keepMs: 1000,
  });
  simulation.settle(40_000);
  const victim = simulation.peers.find(({ training }) => training !== undefined)!;
  const { slot } = victim.training!;
  const before = starts(simulation.events).length;
  simulation.kill(victim);
  simulation.settle(2000);
  simulation.start(victim);
  assert.ok(simulation.run(HOUR));
  const after = starts(simulation.events).slice(before);
  assert.deepEqual(
    after.map(({ peer, slot: taken }) => [peer, slotKey(taken)]),
    [[victim.name, slotKey(slot)]],
  );
  // Of the minute that a round takes some 35 seconds were done, and not done again.
  assert.ok(simulation.now < 90_000, `${simulation.now}`);
  assertContract(simulation, 1);
});

test("what a peer keeps about its outer gradients changes none of its decisions", () => {
  const nothing = rawBlock(Buffer.from("nothing")).cid;
  let folds = 0;
  fc.assert(
    fc.property(steps, fc.array(fc.nat(3)), (history, choices) => {
      const worlds = [createWorld(), createWorld()];
      const [kept, anew] = worlds.map(({ view, lineages }) => {
        const init = { run: RUN, config: runConfig, topology, plan, lineages, view, now: 0 };
        return new Coordinator({ ...init, self: peers[0]!, role: "worker" });
      }) as [Coordinator, Coordinator];
      let now = 0;
      for (const [index, step] of history.entries()) {
        now += step.wait;
        for (const world of worlds) carryOut(world, step, index, now);
        const choice = choices[index % Math.max(1, choices.length)] ?? 0;
        for (const [module, lineage] of worlds[0]!.lineages)
          for (const [place, { cid }] of lineage.pending().entries())
            for (const coordinator of [kept, anew]) {
              // Comes, stays away or is lost again.
              if ((place + choice) % 4 < 2) coordinator.available(module, cid);
              else if (choice === 3) coordinator.lost(module, cid);
            }
        // Whose stock changes must look at it again.
        for (const { name } of topology.modules) {
          anew.available(name, nothing);
          anew.lost(name, nothing);
        }
        const decisions = kept.decide(now);
        assert.deepEqual(anew.decide(now), decisions);
        for (const decision of decisions) {
          if (decision.type !== "fold") continue;
          folds++;
          for (const { lineages } of worlds) lineages.get(decision.module)!.addVersion(versionOf(decision));
          for (const coordinator of [kept, anew]) coordinator.foldEnded(decision.module);
        }
      }
    }),
    { numRuns: 200 },
  );
  assert.ok(folds > 20, `${folds} folds`);
});

function versionOf({ module, parent, contributions }: Extract<Decision, { type: "fold" }>): KnownVersion {
  const cids = contributions.map(({ cid }) => cid);
  const value = {
    module,
    generation: parent.generation + 1,
    parent: parent.cid,
    contributions: cids,
    state: stateOf(rawBlock(Buffer.from(cids.join())).cid),
    tokens: contributions.reduce((sum, { tokens }) => sum + tokens, parent.tokens),
  };
  return { ...value, cid: Version.encode(value).cid };
}

function stateOf(cid: KnownVersion["cid"]): KnownVersion["state"] {
  return { parameters: cid, momentum: cid };
}
