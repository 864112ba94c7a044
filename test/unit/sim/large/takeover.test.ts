/**
 * Contract d over many schedules of the faults of chaos runs, at their times, with takeovers judged as the auditor judges
 * those of real processes. `node/chaos` does the same to some dozens of swarms; here a swarm takes some milliseconds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FaultKind, schedule } from "../../../../node/chaos/schedule.ts";
import {
  createTakeovers,
  type LeaseEvent,
  type Silence,
  type Takeover,
} from "../../../../src/audit/takeovers.ts";
import { headsAgree } from "../../../../src/sim/large/report.ts";
import { simulatedRun } from "../../../../src/sim/large/run.ts";
import { Simulation } from "../../../../src/sim/large/simulation.ts";

const SWARM = {
  heartbeatSeconds: 0.5,
  leaseSeconds: 4,
  settleSeconds: 0.3,
  graceSeconds: 10,
  antiEntropySeconds: 3,
};
const SEEDS = 400;
const START_MS = 2000;
/** What a process takes from its restart to its first heartbeat, at least. */
const RESTART_MS = 1000;
const STATES = { claim: "claimed", start: "started", complete: "completed", abandon: "abandoned" } as const;

/** Trains a run of three rounds to its end while faults strike its four peers. */
function strike(seed: number): { complete: boolean; agree: boolean; takeovers: Takeover[] } {
  const simulation = new Simulation({
    peers: 4,
    seed,
    config: simulatedRun({ rounds: 3, swarm: SWARM }),
    roundMs: [1000, 3500],
    latencyMs: [1, 30],
    megabitsPerSecond: 100,
    moduleBytes: 200_000,
    tickMs: 250,
  });
  const { peers, events, cut } = simulation;
  const names = peers.map(({ name }) => name);
  const takeovers = createTakeovers({
    leaseMs: 1000 * SWARM.leaseSeconds,
    listenMs: 3000 * SWARM.heartbeatSeconds,
  });
  for (const name of names) takeovers.started(0, name);
  let told = 0;
  /** Tells of the leases so far, so that these and the faults come in order. */
  const tell = (): void => {
    for (; told < events.length; told++) {
      const event = events[told]!;
      if (event.type === "fold" || event.type === "fault") continue;
      const lease: LeaseEvent = { state: STATES[event.type], ...event.slot };
      takeovers.lease(event.at, event.peer, lease);
    }
  };
  const silence = (of: string[], how: Silence): void => {
    tell();
    for (const name of of) takeovers.struck(simulation.now, name, how);
  };
  const struck = new Set<string>();
  const halt = (of: string[], kind: FaultKind, lasts: number): void => {
    silence(of, "halted");
    for (const name of of) struck.add(name);
    const halted = of.map((name) => simulation.peer(name));
    if (kind === "pause") for (const peer of halted) simulation.pause(peer, lasts);
    else for (const peer of halted) simulation[kind === "stop" ? "leave" : "kill"](peer);
    simulation.after(kind === "pause" ? lasts : lasts + RESTART_MS, () => {
      tell();
      for (const name of of) {
        struck.delete(name);
        if (kind === "pause") takeovers.over(simulation.now, name, "halted");
        else {
          simulation.start(simulation.peer(name));
          takeovers.started(simulation.now, name);
        }
      }
    });
  };
  const part = (of: string[], lasts: number): void => {
    silence(of, "cut");
    for (const name of of) cut.add(name);
    simulation.after(lasts, () => {
      tell();
      cut.clear();
      for (const name of of) takeovers.over(simulation.now, name, "cut");
    });
  };
  // Longer faults than those of the real processes, and more of them, so that more is left to others.
  const plan = schedule({ seed, rate: 3000, peers: names, meanMs: 6000, count: 14 });
  let quiet = false;
  const next = (): void => {
    const { value: fault } = plan.next();
    if (fault === undefined || quiet) return;
    const { kind, order, lasts } = fault;
    const attempt = (): void => {
      if (quiet) return;
      const up = order.filter((name) => !struck.has(name));
      // As for real processes, what strikes all at once waits its turn.
      if ((kind === "blackout" && struck.size + cut.size > 0) || (kind === "partition" && cut.size > 0)) {
        simulation.after(200, attempt);
        return;
      }
      if (kind === "partition") part(order.slice(0, 2), lasts);
      else if (kind === "blackout") halt(order, kind, lasts);
      else if (kind !== "slow" && up.length > 0) halt(up.slice(0, 1), kind, lasts);
      next();
    };
    simulation.after(fault.after, attempt);
  };
  simulation.after(START_MS, next);
  simulation.run(300_000, tell);
  quiet = true;
  while (struck.size + cut.size > 0) simulation.settle(100);
  simulation.settle(3000 * SWARM.antiEntropySeconds);
  const complete = simulation.run(600_000, tell);
  return { complete, agree: headsAgree(simulation), takeovers: takeovers.all() };
}

test("an expired lease is taken over within two lease times under any faults, and every run completes", () => {
  let count = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const { complete, agree, takeovers } = strike(seed);
    assert.ok(complete, `seed ${seed}: the run does not complete`);
    assert.ok(agree, `seed ${seed}: the heads differ`);
    for (const takeover of takeovers)
      assert.ok(
        takeover.milliseconds <= 2000 * SWARM.leaseSeconds,
        `seed ${seed}: ${JSON.stringify(takeover)}`,
      );
    count += takeovers.length;
  }
  assert.ok(count > SEEDS / 2, `${count} takeovers`);
});
