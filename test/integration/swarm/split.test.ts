/** Two halves of one run, made with a bootstrap node each, train on their own until there is a path between them. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { BootstrapNode } from "../../../bootstrap/bootstrap-node.ts";
import { startBootstrap } from "../net/support.ts";
import { type Arena, createArena, eventually, type Member, quickConfig, startMember } from "./support.ts";

const PEERS = 3;
const ROUNDS = 3;
const SEARCH_MS = 2000;

interface Half {
  bootstrap: BootstrapNode;
  members: Member[];
}

async function startHalf(t: TestContext, arena: Arena, name: string): Promise<Half> {
  const bootstrap = await startBootstrap(t);
  const init = { config: quickConfig(ROUNDS), bootstrap: bootstrap.addresses(), searchMs: SEARCH_MS };
  const members = await Promise.all(
    Array.from({ length: PEERS }, (_, i) => startMember(arena, { ...init, name: `${name}${i}` })),
  );
  return { bootstrap, members };
}

const agree = (members: Member[]): boolean => new Set(members.map((member) => member.heads())).size === 1;
const complete = (members: Member[]): boolean =>
  members.every(({ swarm }) => swarm.coordinator.done()) && agree(members);

/** Both halves train all rounds, each by itself; then they are linked, and merge. */
async function mergeAfter(t: TestContext, link: (a: Half, b: Half) => Promise<void>): Promise<void> {
  const arena = await createArena(t);
  const [a, b] = await Promise.all([startHalf(t, arena, "a"), startHalf(t, arena, "b")]);
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
  const trained = all.flatMap(({ swarm }) =>
    swarm
      .lineage("upper/0")
      .contributions()
      .map(({ cid }) => cid.toString()),
  );

  await link(a, b);
  await eventually(all, () => complete(all));

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
  const { swarm } = all[0]!;
  const folded = swarm
    .lineage("upper/0")
    .ancestry()
    .flatMap(({ contributions }) => contributions.map(String));
  assert.equal(new Set(folded).size, folded.length, "nothing is folded twice");
  assert.deepEqual(new Set(folded), new Set(trained), "the work of both halves is folded");
}

test(
  "halves whose bootstrap nodes learn of each other find each other and merge",
  { timeout: 120_000 },
  (t) =>
    mergeAfter(t, async (a, b) => {
      await a.bootstrap.libp2p.dial(b.bootstrap.libp2p.getMultiaddrs());
    }),
);

test("halves merge over a single connection between two of their peers", { timeout: 120_000 }, (t) =>
  mergeAfter(t, (a, b) => a.members[1]!.network.dial(b.members[2]!.network.addresses()[0]!)),
);
