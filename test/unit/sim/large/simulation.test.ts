/** What is promised of swarms of any size, asserted where it can be repeated: in the simulation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addChurn, addFaults } from "../../../../src/sim/large/faults.ts";
import { headsAgree, type Report, reportOf } from "../../../../src/sim/large/report.ts";
import { gridOf, simulatedRun } from "../../../../src/sim/large/run.ts";
import { Simulation } from "../../../../src/sim/large/simulation.ts";
import type { SimulationOptions } from "../../../../src/sim/large/types.ts";

const MINUTE = 60_000;
const ROUNDS = 1_000_000;

/** A swarm on ordinary links with the defaults of a run file, and rounds of about a minute. */
function simulate(
  options: Partial<SimulationOptions> & { peers: number; seed: number },
  paths: number,
): Simulation {
  return new Simulation({
    config: simulatedRun({ grid: gridOf(paths), rounds: ROUNDS }),
    roundMs: [48_000, 72_000],
    latencyMs: [20, 150],
    loss: 0.01,
    megabitsPerSecond: 100,
    moduleBytes: 2e6,
    tickMs: 1000,
    ...options,
  });
}

function churned(seed: number): { report: Report; events: unknown[] } {
  const simulation = simulate({ peers: 20, seed }, 4);
  addChurn(simulation, 2, 10 * MINUTE);
  addFaults(simulation, 60, 10 * MINUTE);
  simulation.settle(10 * MINUTE);
  return { report: reportOf(simulation, seed, 1 / 6), events: simulation.events };
}

test("the same seed is the same simulation, to the last event, and another seed is another one", () => {
  const [first, again, other] = [churned(7), churned(7), churned(8)];
  assert.ok(first.report.faults > 10 && first.report.folded > 0);
  assert.deepEqual(again, first);
  assert.notDeepEqual(other.events, first.events);
});

test("what a peer hears does not grow with the number of peers", () => {
  const rates = [50, 200, 400].map((peers) => {
    const simulation = simulate({ peers, seed: 1, sites: 8 }, 16);
    addChurn(simulation, 0.3, 20 * MINUTE);
    simulation.settle(20 * MINUTE);
    return reportOf(simulation, 1, 1 / 3).perPeerPerSecond;
  });
  for (const { heartbeats, messages } of rates) {
    // Two budgets, of those that work and those that stand by, of 16 heartbeats in 2 s each; and some for who comes.
    assert.ok(heartbeats < 18, `${heartbeats} heartbeats a second`);
    assert.ok(messages < 2 * rates[0]!.messages, JSON.stringify(rates));
  }
});

test("an expired lease is taken over within two lease times while a peer is free", () => {
  let taken = 0;
  for (let seed = 0; seed < 4; seed++) {
    const simulation = simulate({ peers: 12, seed }, 4);
    const leaseMs = simulation.config.swarm.leaseSeconds * 1000;
    const gone: { at: number; peer: string; path: number; round: number }[] = [];
    // Every two minutes a peer in training dies; it comes back a minute later.
    const strike = (): void => {
      const victim = simulation.peers.find(({ training, alive }) => alive && training !== undefined);
      if (victim !== undefined) {
        const { path, round } = victim.training!.slot;
        gone.push({ at: simulation.now, peer: victim.name, path, round });
        simulation.kill(victim);
        simulation.after(MINUTE, () => simulation.start(victim));
      }
      simulation.after(2 * MINUTE, strike);
    };
    simulation.after(2 * MINUTE, strike);
    simulation.settle(20 * MINUTE);
    for (const { at, peer, path, round } of gone) {
      if (at + 2 * leaseMs > simulation.now) continue;
      const next = simulation.events.find(
        (event) =>
          event.type === "start" && event.at > at && event.slot.path === path && event.slot.round === round,
      );
      assert.ok(next !== undefined, `seed ${seed}: nobody takes ${round}/${path} over from ${peer}`);
      assert.notEqual(next.peer, peer);
      assert.ok(next.at - at <= 2 * leaseMs, `seed ${seed}: taken over after ${next.at - at} ms`);
      taken++;
    }
  }
  assert.ok(taken >= 20, `${taken} takeovers`);
});

// Rounds of ten minutes meet more than one fault each, and are few, so that it takes longer to tell.
for (const [seed, minutes, hours] of [
  [1, 1, 1],
  [2, 1, 1],
  [3, 1, 1],
  [4, 1, 1],
  [1, 10, 4],
  [2, 10, 4],
] as const)
  test(`60 faults an hour of 8 peers leave 85 % of the outer updates and lose nothing (rounds of ${minutes} min, seed ${seed})`, () => {
    const [calm, struck] = [0, 60].map((faults) => {
      const roundMs: [number, number] = [0.8 * minutes * MINUTE, 1.2 * minutes * MINUTE];
      const simulation = simulate({ peers: 8, seed, roundMs }, 4);
      addFaults(simulation, faults, 60 * hours * MINUTE);
      simulation.settle(60 * hours * MINUTE);
      return reportOf(simulation, seed, hours);
    }) as [Report, Report];
    assert.ok(struck.faults > 40 * hours, `${struck.faults} faults`);
    const ratio = struck.updatesPerHour / calm.updatesPerHour;
    assert.ok(ratio >= 0.85, `${ratio}`);
    for (const { lost, foldedTwice } of [calm, struck])
      assert.deepEqual({ lost, foldedTwice }, { lost: 0, foldedTwice: 0 });
  });

test("after the last fault all peers agree on every head within three anti-entropy periods", () => {
  for (let seed = 0; seed < 3; seed++) {
    const simulation = simulate({ peers: 8, seed, moduleBytes: 0 }, 4);
    addFaults(simulation, 240, 10 * MINUTE);
    simulation.settle(10 * MINUTE);
    // All that is down, stopped or cut off comes back within 30 s. Then a moment without new versions is waited for.
    simulation.settle(30_000 + 3 * simulation.config.swarm.antiEntropySeconds * 1000);
    let agreed = headsAgree(simulation);
    for (let second = 0; second < 5 && !agreed; second++) {
      simulation.settle(1000);
      agreed = headsAgree(simulation);
    }
    assert.ok(agreed, `seed ${seed}`);
    assert.equal(simulation.alive, 8);
  }
});
