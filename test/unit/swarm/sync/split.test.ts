import assert from "node:assert/strict";
import { test } from "node:test";
import type { KnownContribution, KnownVersion } from "../../../../src/outer/types.ts";
import { searchPause } from "../../../../src/swarm/sync/outside-search.ts";
import { createSplitDetector, generationsApart, type Split } from "../../../../src/swarm/sync/split.ts";
import { contribute, createLineage, fold, GENESIS, MODULE } from "../../outer/history.ts";

const HEARTBEAT_MS = 1000;
const LATER = 60_000;

interface Generation {
  contribution: KnownContribution;
  version: KnownVersion;
}

/** What `signer` makes alone from `base` on. */
function branch(base: KnownVersion, length: number, signer: string): Generation[] {
  const made: Generation[] = [];
  for (let i = 0; i < length; i++) {
    const parent = made.at(-1)?.version ?? base;
    const contribution = contribute(parent.cid, { round: parent.generation, signer });
    made.push({ contribution, version: fold(parent, [contribution]) });
  }
  return made;
}

const versionsOf = (made: Generation[]): KnownVersion[] => made.map(({ version }) => version);

/** A peer that has `own`; `meet` hears of `theirs` in an exchange with `bob`. */
function open(own: Generation[]) {
  const lineage = createLineage();
  const lineages = new Map([[MODULE, lineage]]);
  const add = ({ contribution, version }: Generation): void => {
    lineage.addContribution(contribution);
    lineage.addVersion(version);
  };
  own.forEach(add);
  const detector = createSplitDetector({ lineages, heartbeatMs: HEARTBEAT_MS, now: 0 });
  const meet = (theirs: Generation[], now: number): Promise<Split | undefined> =>
    detector.during("bob", now, async () => {
      for (const made of theirs) {
        add(made);
        detector.brought("bob", made.version);
      }
    });
  return { detector, meet };
}

test("versions are as far apart as their last common ancestor is below them", () => {
  const trunk = versionsOf(branch(GENESIS, 3, "ann"));
  const left = versionsOf(branch(trunk[2]!, 2, "ann"));
  const right = versionsOf(branch(trunk[2]!, 4, "bob"));
  const all = new Map([GENESIS, ...trunk, ...left, ...right].map((v) => [v.cid.toString(), v]));
  const apart = (a: KnownVersion, b: KnownVersion): [number, number] | undefined =>
    generationsApart((cid) => all.get(cid.toString()), a, b);
  assert.deepEqual(apart(left[1]!, right[3]!), [2, 4]);
  assert.deepEqual(apart(right[3]!, left[1]!), [4, 2]);
  assert.deepEqual(apart(left[1]!, left[1]!), [0, 0]);
  assert.deepEqual(apart(left[1]!, trunk[0]!), [4, 0]);
  assert.deepEqual(apart(GENESIS, right[0]!), [0, 4]);
  all.delete(trunk[2]!.cid.toString());
  assert.equal(apart(left[1]!, right[3]!), undefined);
});

test("a peer that has just come and went another way shows a split, with all that came with it", async () => {
  const { detector, meet } = open(branch(GENESIS, 3, "ann"));
  detector.joined("old", 1_000);
  detector.joined("bob", LATER - 1_000);
  detector.joined("cat", LATER - 500);
  assert.deepEqual(await meet(branch(GENESIS, 2, "bob"), LATER), { peers: ["bob", "cat"], heads: 1 });
  assert.equal(await meet([], LATER), undefined, "what is known already is no news");
});

test("a stranger that was never heard shows it, too", async () => {
  const { meet } = open(branch(GENESIS, 2, "ann"));
  assert.deepEqual(await meet(branch(GENESIS, 5, "bob"), LATER), { peers: ["bob"], heads: 1 });
});

test("a peer that could not be asked for long after it was heard shows it, with those that were heard with it", async () => {
  const { detector, meet } = open(branch(GENESIS, 3, "ann"));
  detector.joined("old", 1_000);
  detector.joined("bob", LATER);
  detector.joined("cat", LATER + 500);
  detector.joined("new", 3 * LATER);
  const split = await meet(branch(GENESIS, 2, "bob"), 3 * LATER);
  assert.deepEqual(split, { peers: ["bob", "cat"], heads: 1 });
  assert.equal(await meet(branch(GENESIS, 3, "bob"), 3 * LATER), undefined, "once");
});

test("joiners, laggards, everyday forks and old acquaintances show none", async () => {
  const own = branch(GENESIS, 3, "ann");
  const next = branch(own[2]!.version, 2, "ann");
  assert.equal(await open(own).meet([], LATER), undefined, "a joiner brings nothing");
  assert.equal(await open(own).meet(next, LATER), undefined, "this peer lagged");
  assert.equal(await open([...own, ...next]).meet(own, LATER), undefined, "the other lagged");
  const fork = branch(own[1]!.version, 1, "bob");
  assert.equal(await open(own).meet(fork, LATER), undefined, "two owners closed one generation");
  assert.equal(await open(own).meet(branch(GENESIS, 3, "bob"), 5_000), undefined, "to a newcomer all is new");
  const known = open(own);
  known.detector.joined("bob", 1_000);
  assert.equal(await known.meet(branch(GENESIS, 3, "bob"), LATER), undefined, "it was known for long");
  known.detector.left("bob", LATER - 5_000);
  known.detector.joined("bob", LATER);
  assert.equal(await known.meet(branch(own[0]!.version, 2, "bob"), LATER), undefined, "it was only late");
  known.detector.left("bob", LATER);
  known.detector.joined("bob", LATER + 10_000);
  // By another, so that none of it was known before.
  const healed = branch(own[0]!.version, 3, "carol");
  assert.deepEqual(
    await known.meet(healed, LATER + 10_000),
    { peers: ["bob"], heads: 1 },
    "a healed partition",
  );
});

test("members share the searching, so the DHT is asked as often by many as by few", () => {
  for (const random of [0, 0.5, 0.999]) {
    assert.ok(searchPause(1, 20_000, random) <= 25_000, "a small half looks within half a minute");
    for (const live of [4, 100, 2000]) {
      const perMinute = (live * 60_000) / searchPause(live, 20_000, random);
      assert.ok(perMinute > 9 && perMinute < 17, String(perMinute));
    }
  }
});
