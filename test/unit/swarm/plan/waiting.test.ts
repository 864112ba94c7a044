import assert from "node:assert/strict";
import { test } from "node:test";
import { createWaitReport, describeWait, type Wait } from "../../../../src/swarm/plan/waiting.ts";
import { CID } from "multiformats/cid";
import type { FetchProgress } from "../../../../src/store/types.ts";
import { Coordinator } from "../../../../src/swarm/plan/coordinator.ts";
import { heartbeat, RUN } from "../../../../src/sim/large/run.ts";
import { Simulation } from "../../../../src/sim/large/simulation.ts";
import { config } from "../fast-run.ts";
import { createPlan } from "../../../../src/plan/plan.ts";

const NOW = 100_000;
const OWNER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5x9";
const OTHER = "12D3KooWQ8jhHZ3TDx2r9KJmYYbCKQqCh1XEcRGtq4CwbrnGgMab";
const module = "upper/1";
const fetch: FetchProgress = {
  root: undefined,
  blocks: 40,
  arrived: 12,
  bytes: 12 << 20,
  holders: [OWNER, OTHER],
  from: [OTHER],
};

const lines: [Wait, string][] = [
  [
    {
      for: "owner",
      round: 12,
      module,
      generation: 11,
      owner: { peer: OWNER, lastSeen: NOW - 8_000 },
      takeover: NOW + 4_000,
    },
    "round 12 waits for upper/1 (generation 11, owner 12D3…x9 last seen 8 s ago, taking over in 4 s)",
  ],
  [
    {
      for: "owner",
      round: 1,
      module,
      generation: 0,
      owner: { peer: OWNER, lastSeen: null },
      takeover: NOW - 1,
    },
    "round 1 waits for upper/1 (generation 0, owner 12D3…x9 not seen yet, taking over in 0 s)",
  ],
  [
    { for: "owner", round: 1, module, generation: 0, owner: undefined, takeover: NOW + 500 },
    "round 1 waits for upper/1 (generation 0, no owner, taking over in 1 s)",
  ],
  [
    {
      for: "contributions",
      round: 12,
      module,
      generation: 11,
      missing: [
        { path: 3, holder: { peer: OWNER, lastSeen: NOW - 2_000, progress: 0.406, expires: NOW + 18_000 } },
        { path: 5 },
      ],
    },
    "round 12 waits for upper/1 (generation 11, path 3 of 12D3…x9 last seen 2 s ago at 40 %, lease ends in 18 s; path 5 of nobody yet)",
  ],
  [
    { for: "slots", round: 2, missing: [0, 1, 2, 3, 4].map((path) => ({ path })) },
    "round 2 waits for others (path 0 of nobody yet; path 1 of nobody yet; path 2 of nobody yet; and 2 more)",
  ],
  [
    { for: "blocks", round: 12, what: "upper/1 generation 11", fetch },
    "round 12 waits for upper/1 generation 11 (12 of 40 blocks, 12.0 MiB so far, from 12D3…ab)",
  ],
  [
    {
      for: "blocks",
      round: 0,
      what: "the shard of path 3",
      fetch: { ...fetch, arrived: 0, bytes: 0, from: [] },
    },
    "round 0 waits for the shard of path 3 (0 of 40 blocks, 0 B so far, asking 12D3…x9, 12D3…ab)",
  ],
  [
    { for: "rivals", round: 4, path: 1, until: NOW + 900 },
    "round 4 waits for rival claims (path 1, starting in 1 s)",
  ],
  [{ for: "claims", until: NOW + 6_000 }, "listening to the claims of other peers (first claim in 6 s)"],
  [{ for: "peers" }, "waiting to hear a peer of the run"],
];
for (const [wait, line] of lines) test(line, () => assert.equal(describeWait(wait, NOW), line));

test("another line is shown at once but at most each second, the same one with new ages every five", () => {
  const shown: string[] = [];
  const report = createWaitReport((line) => shown.push(line));
  const at = (ms: number, line: string | undefined): void => report(line, ms);
  at(0, "a, last seen 1 s ago");
  at(500, "b");
  at(1000, "b");
  at(2000, "a, last seen 3 s ago");
  for (let ms = 2500; ms < 7000; ms += 500) at(ms, `a, last seen ${ms / 1000} s ago`);
  at(7000, "a, last seen 8 s ago");
  at(7100, undefined);
  at(7200, "a, last seen 8 s ago");
  const last = "a, last seen 8 s ago";
  assert.deepEqual(shown, ["a, last seen 1 s ago", "b", "a, last seen 3 s ago", last, last]);
});

test("a line that does not change is shown once", () => {
  const shown: string[] = [];
  const report = createWaitReport((line) => shown.push(line));
  for (let ms = 0; ms < 60_000; ms += 500) report("waiting to hear a peer of the run", ms);
  assert.equal(shown.length, 1);
});

const WORK = String.raw`path \d of (nobody yet|peer-\d last seen \d+ s ago at \d+ %, lease ends in \d+ s|this peer at \d+ %, lease ends in \d+ s)`;
const KINDS: Record<string, RegExp> = {
  claims: /^listening to the claims of other peers \(first claim in \d s\)$/,
  rivals: /^round \d waits for rival claims \(path \d, starting in \d s\)$/,
  contributions: new RegExp(
    String.raw`^round \d waits for \w+/\d \(generation \d, ${WORK}(; ${WORK})*(; and \d more)?\)$`,
  ),
  owner:
    /^round \d waits for \w+\/\d \(generation \d, owner (peer-\d last seen \d+ s ago|this peer), taking over in \d+ s\)$/,
  slots: new RegExp(String.raw`^round \d waits for others \(${WORK}(; ${WORK})*(; and \d more)?\)$`),
};

test("in a run with deaths every wait has a line, of every kind", () => {
  const seen = new Map<string, string>();
  for (let seed = 0; seed < 4; seed++) {
    const simulation = new Simulation({ peers: 6, seed, config: config({}) });
    simulation.run(3_600_000, () => {
      if (simulation.now > 12_000) simulation.kill(simulation.peers[0]!);
      for (const { alive, coordinator } of simulation.peers) {
        if (!alive) continue;
        const line = coordinator.waitingFor(simulation.now);
        if (line === undefined) continue;
        const kind = Object.keys(KINDS).find((name) => KINDS[name]!.test(line));
        assert.ok(kind !== undefined, line);
        seen.set(kind, line);
      }
    });
  }
  assert.deepEqual([...seen.keys()].toSorted(), Object.keys(KINDS).toSorted());
});

test("an owner that fell silent is named with the time of its takeover, which comes true", () => {
  const simulation = new Simulation({ peers: 5, seed: 3, config: config({ rounds: 4 }) });
  let victim: string | undefined;
  let promised: { module: string; generation: number; takeover: number } | undefined;
  simulation.run(3_600_000, () => {
    for (const { name, alive, coordinator } of simulation.peers) {
      if (!alive || promised !== undefined) continue;
      const line = coordinator.waitingFor(simulation.now) ?? "";
      const [, module, generation, owner, ago, left] =
        /waits for (\S+) \(generation (\d+), owner (peer-\d) last seen (\d+) s ago, taking over in (\d+) s/.exec(
          line,
        ) ?? [];
      if (module === undefined || owner === undefined || owner === name) continue;
      victim ??= owner;
      if (owner === victim) simulation.kill(simulation.peer(owner));
      if (owner === victim && Number(ago) >= 1)
        promised = { module, generation: Number(generation), takeover: simulation.now + 1000 * Number(left) };
    }
  });
  assert.ok(promised !== undefined, "some round waited for an owner that had died");
  const { module: waited, generation, takeover } = promised;
  const fold = simulation.events.find(
    (event) => event.type === "fold" && event.module === waited && event.generation === generation + 1,
  );
  assert.ok(fold !== undefined && fold.peer !== victim);
  assert.ok(fold.at < takeover + 2000, `folded at ${fold.at}, promised at ${takeover}`);
});

test("a round names the tensors and the shard that it fetches, and an observer that it hears nobody", () => {
  const simulation = new Simulation({ peers: 1, seed: 1, config: config({}) });
  const node = simulation.peers[0]!;
  simulation.run(3_600_000, () => {});
  // One round more than was trained.
  const longer = config({ rounds: 4 });
  const { topology } = simulation;
  const coordinatorOf = (role: "worker" | "observer"): Coordinator =>
    new Coordinator({
      self: "self",
      role,
      run: RUN,
      config: longer,
      topology,
      plan: createPlan({ config: longer, topology, genesis: [], shards: [] }),
      lineages: node.lineages,
      now: 0,
    });
  const observer = coordinatorOf("observer");
  assert.equal(observer.waitingFor(NOW), "waiting to hear a peer of the run");
  observer.heard("peer", heartbeat({}), NOW);
  assert.match(observer.waitingFor(NOW)!, /^round 3 waits for others \(path 0 of nobody yet/);

  const worker = coordinatorOf("worker");
  const types: string[] = [];
  for (let now = NOW; now < NOW + 5_000; now += 100)
    types.push(...worker.decide(now).map(({ type }) => type));
  assert.deepEqual(types, ["claim", "start"]);
  const [first] = simulation.topology.modulesOfPath(worker.ownSlot!.path);
  const head = node.lineages.get(first!)!.head();
  const line = (root: CID | undefined): string | undefined => worker.waitingFor(NOW, [{ ...fetch, root }]);
  assert.match(
    line(head.state["parameters"])!,
    new RegExp(`^round 3 waits for ${first} generation 3 \\(12 of 40 blocks`),
  );
  assert.match(line(undefined)!, /^round 3 waits for the shard of path \d \(12 of 40 blocks/);
  assert.equal(worker.waitingFor(NOW), undefined);
  worker.progress(0.1);
  assert.equal(line(undefined), undefined);
});
