/** Two halves of one run, made with a bootstrap node each, train on their own until there is a path between them. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { complete, createArena, eventually, LINKS, quickConfig, startHalf } from "./support.ts";

const PEERS = 3;
const ROUNDS = 3;
const SEARCH_MS = 2000;

/** Both halves train all rounds, each by itself; then they are linked, and merge. */
async function mergeAfter(t: TestContext, link: (typeof LINKS)[keyof typeof LINKS]): Promise<void> {
  const arena = await createArena(t);
  const init = { config: quickConfig(ROUNDS), peers: PEERS, searchMs: SEARCH_MS };
  const [a, b] = await Promise.all(["a", "b"].map((name) => startHalf(t, arena, { ...init, name })));
  assert.ok(a !== undefined && b !== undefined);
  const all = [...a.members, ...b.members];
  await eventually(all, () => complete(a.members) && complete(b.members));

  assert.notEqual(a.members[0]!.heads(), b.members[0]!.heads());
  for (const [half, others] of [
    [a, b],
    [b, a],
  ] as const)
    for (const { swarm, events } of half.members) {
      const live = swarm.coordinator.membership.live(performance.now()).map(({ peer }) => peer);
      assert.ok(others.members.every(({ network }) => !live.includes(network.peerId)));
      assert.ok(!events.some(({ type }) => type === "split"), "a half alone is whole");
    }
  const trained = new Set(
    all.flatMap(({ swarm }) =>
      swarm
        .lineage("upper/0")
        .contributions()
        .map(({ cid }) => cid.toString()),
    ),
  );
  const folded = (): string[] =>
    all[0]!.swarm
      .lineage("upper/0")
      .ancestry()
      .flatMap(({ contributions }) => contributions.map(String));

  await link(a, b);
  // Members may call the run complete before tensors of the other half have come, when these take longer than the
  // members' patience (`Shortfall.isLeft`). So complete is not enough here; the work has to be folded.
  await eventually(all, () => complete(all) && new Set(folded()).size === trained.size);

  for (const { members } of [a, b]) {
    const others = (members === a.members ? b : a).members.map(({ network }) => network.peerId);
    const splits = members.flatMap(({ events }) => events.filter((event) => event.type === "split"));
    assert.ok(splits.length > 0, "both halves say so");
    for (const { peers, heads } of splits) {
      assert.ok(
        peers.some((peer) => others.includes(peer)),
        "a stranger is named",
      );
      assert.ok(heads >= 1 && heads <= 3);
    }
  }
  assert.equal(new Set(folded()).size, folded().length, "nothing is folded twice");
  assert.deepEqual(new Set(folded()), trained, "the work of both halves is folded");
}

test("halves whose bootstrap nodes learn of each other find each other and merge", (t) =>
  mergeAfter(t, LINKS["two bootstrap nodes"]));

test("halves merge over a single connection between two of their peers", (t) =>
  mergeAfter(t, LINKS["two peers"]));
