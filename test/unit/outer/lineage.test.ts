import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compareCids } from "../../../src/outer/order.ts";
import {
  GENESIS,
  MODULE,
  cidOf,
  contribute,
  contributeRound,
  createInit,
  createLineage,
  fold,
  labels,
  basesOf,
} from "./history.ts";
import type { Base } from "../../../src/objects/contribution.ts";
import { ROUTER } from "../../../src/objects/manifest.ts";
import { Lineage } from "../../../src/outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";

const invalid = (message: RegExp) => ({ name: "InvalidObjectError", message });

function extend(
  lineage: Lineage,
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
): KnownVersion {
  for (const contribution of contributions) lineage.addContribution(contribution);
  const version = fold(parent, contributions);
  assert.equal(lineage.addVersion(version).added, true);
  return version;
}

describe("lineage: a new one", () => {
  it("has genesis as head", () => {
    const lineage = createLineage();
    assert.deepEqual(lineage.summary(), { head: GENESIS.cid, generation: 0, tokens: 0 });
  });

  it("refuses a genesis of another module", () => {
    assert.throws(
      () => new Lineage({ ...createInit(), module: "lower/1" }),
      invalid(/not a genesis version/),
    );
  });
});

describe("lineage: contributions", () => {
  const cases: [string, Partial<KnownContribution>, RegExp][] = [
    ["another run", { run: cidOf("other run") }, /of run/],
    ["another module", { module: "upper/0" }, /of module upper\/0/],
    ["a path elsewhere", { path: 2 }, /path 2 does not pass through lower\/0/],
    ["a path outside the grid", { path: 99 }, /path 99/],
    ["a replica too many", { replica: 2 }, /replica 2 is not below 2/],
    ["a round after the last", { round: 50 }, /round 50 is not below 50/],
    ["no steps", { steps: 0 }, /0 steps/],
    ["more steps than a round has", { steps: 5 }, /5 steps/],
    ["more tokens than its steps", { steps: 2, tokens: 17 }, /2 steps are 16 tokens, not 17/],
  ];
  for (const [name, parts, message] of cases)
    it(`are refused when of ${name}`, () => {
      const lineage = createLineage();
      assert.throws(() => lineage.addContribution(contribute(GENESIS.cid, parts)), invalid(message));
      assert.deepEqual(lineage.contributions(), []);
    });

  describe("name what they started from", () => {
    const bases = basesOf(MODULE, 0, GENESIS.cid);
    const cases: [string, Base[]][] = [
      ["in another order", bases.toReversed()],
      ["too few", bases.slice(0, 1)],
      ["too many", [...bases, ...bases.slice(0, 1)]],
      ["of another path", basesOf(MODULE, 1, GENESIS.cid)],
    ];
    for (const [name, named] of cases)
      it(`and are refused when these are ${name}`, () => {
        const contribution = contribute(GENESIS.cid, { bases: named });
        assert.throws(
          () => createLineage().addContribution(contribution),
          invalid(/not one of each module of path 0 and the router, in order/),
        );
      });

    it("and are refused when the run has no such version of the router", () => {
      const named = [...bases.slice(0, -1), { module: ROUTER, version: cidOf("another router") }];
      assert.throws(
        () => createLineage().addContribution(contribute(GENESIS.cid, { bases: named })),
        invalid(/it names a version of the router that the run does not have/),
      );
    });

    it("and are taken when it is one version of each module of their path", () => {
      assert.equal(createLineage().addContribution(contribute(GENESIS.cid, { bases })).added, true);
    });
  });

  it("of a signer off the run's list are refused, and so never folded, whoever brings them", () => {
    const init = createInit();
    const config = { ...init.config, admission: { peers: ["ann"] } };
    const lineage = new Lineage({ ...init, config });
    const stranger = contribute(GENESIS.cid, { signer: "eve" });
    assert.throws(() => lineage.addContribution(stranger), {
      name: "InvalidObjectError",
      message: /its signer eve is not on the list of peers that the run admits/,
    });
    lineage.addContribution(contribute(GENESIS.cid));
    lineage.addVersion(fold(GENESIS, [stranger]));
    assert.deepEqual(labels(lineage.pending()), labels([contribute(GENESIS.cid)]));
    assert.ok(lineage.head().cid.equals(GENESIS.cid));
  });

  it("are pending, in fold order, until folded", () => {
    const lineage = createLineage();
    const [a, b] = contributeRound(GENESIS.cid, 0);
    for (const contribution of [b, a])
      assert.deepEqual(lineage.addContribution(contribution), { added: true, refused: [] });
    assert.deepEqual(labels(lineage.pending()), labels([a, b]));
    assert.equal(lineage.folded(a.cid), false);
    assert.equal(lineage.completed({ work: "train", round: 0, path: 1, replica: 0 }), true);
    assert.equal(lineage.completed({ work: "train", round: 0, path: 1, replica: 1 }), false);
    assert.equal(lineage.addVersion(fold(GENESIS, [a])).added, true);
    assert.deepEqual(labels(lineage.pending()), labels([b]));
    assert.equal(lineage.folded(a.cid), true);
    assert.equal(lineage.addContribution(a).added, true, "adding again changes nothing");
    assert.deepEqual(labels(lineage.pending()), labels([b]));
  });

  it("wait for their base", () => {
    const lineage = createLineage();
    const first = contributeRound(GENESIS.cid, 0);
    const version = fold(GENESIS, first);
    const second = contribute(version.cid, { round: 1 });
    assert.deepEqual(lineage.addContribution(second), { added: false, missing: version.cid, refused: [] });
    assert.deepEqual(labels([{ cid: lineage.missing()[0]! }]), labels([version]));
    assert.equal(lineage.contribution(second.cid), undefined);
    extend(lineage, GENESIS, first);
    assert.deepEqual(labels(lineage.pending()), labels([second]));
    assert.deepEqual(lineage.missing(), []);
  });

  it("that are late are folded up to maxStaleness generations, then rejected with the reason", () => {
    const lineage = createLineage({ maxStaleness: 2 });
    const late = contribute(GENESIS.cid, { replica: 1 });
    lineage.addContribution(late);
    let head = GENESIS;
    for (let round = 0; round < 2; round++) head = extend(lineage, head, contributeRound(head.cid, round));
    assert.deepEqual(labels(lineage.pending()), labels([late]));
    const folding = fold(head, [late]);
    head = extend(lineage, head, contributeRound(head.cid, 2));
    assert.deepEqual(lineage.pending(), []);
    assert.deepEqual(lineage.rejected(), [
      { cid: late.cid, reason: "it was computed from a version over 2 generations older than the head" },
    ]);
    assert.equal(lineage.addVersion(folding).added, true, "generation 3 may still hold it");
    assert.throws(() => lineage.addVersion(fold(head, [late])), invalid(/over 2 generations old/));
  });

  it("of one peer to one round count once, the lower CID while both are open", () => {
    const lineage = createLineage();
    const [one, two] = [contribute(GENESIS.cid, { loss: 1 }), contribute(GENESIS.cid, { loss: 2 })];
    const [low, high] = compareCids(one.cid, two.cid) < 0 ? [one, two] : [two, one];
    const other = contribute(GENESIS.cid, { signer: "bob" });
    for (const contribution of [high, other, low]) lineage.addContribution(contribution);
    assert.deepEqual(new Set(labels(lineage.pending())), new Set(labels([low, other])));
    assert.deepEqual(lineage.rejected(), [
      { cid: high.cid, reason: "its peer already contributed this round" },
    ]);
    assert.throws(() => lineage.addVersion(fold(GENESIS, [low, high])), invalid(/repeats a round/));
    const version = fold(GENESIS, [high]);
    lineage.addVersion(version);
    assert.deepEqual(labels(lineage.pending()), labels([other]), "what was folded first stays");
    assert.throws(() => lineage.addVersion(fold(version, [low])), invalid(/repeats a round/));
  });

  it("are no longer pending once refused", () => {
    const lineage = createLineage();
    const contribution = contribute(GENESIS.cid);
    lineage.refuse(contribution.cid, "its delta has the wrong shape");
    lineage.addContribution(contribution);
    assert.deepEqual(lineage.pending(), []);
    assert.deepEqual(lineage.rejected(), [
      { cid: contribution.cid, reason: "its delta has the wrong shape" },
    ]);
  });
});

describe("lineage: versions whose tensors cannot be had", () => {
  it("are passed over, and what only they folded is pending again, until they are taken back", () => {
    const lineage = createLineage();
    const [a, b] = contributeRound(GENESIS.cid, 0);
    for (const contribution of [a, b]) lineage.addContribution(contribution);
    const [poor, rich] = [fold(GENESIS, [a]), fold(GENESIS, [a, b])];
    for (const version of [poor, rich]) lineage.addVersion(version);
    lineage.passOver(rich.cid);
    assert.deepEqual(labels(lineage.passedOver()), labels([rich]));
    assert.equal(lineage.head().cid, poor.cid);
    assert.deepEqual(labels(lineage.pending()), labels([b]));
    const late = contribute(rich.cid, { round: 1 });
    lineage.addContribution(late);
    const child = fold(rich, [late]);
    lineage.addVersion(child);
    assert.equal(lineage.head().cid, poor.cid, "what builds on them is passed over, too");
    assert.deepEqual(labels(lineage.passedOver()), labels([rich, child]), "and is all that it takes");
    lineage.reconsider(poor.cid);
    assert.equal(lineage.head().cid, poor.cid);
    lineage.reconsider(child.cid);
    assert.equal(lineage.head().cid, child.cid);
    assert.deepEqual(lineage.pending(), []);
  });

  it("are taken back with the best version that builds on them, which can be had when they are released", () => {
    const lineage = createLineage();
    const rounds = [0, 1, 2].map((round) => contribute(GENESIS.cid, { round }));
    let parent = GENESIS;
    const versions = rounds.map((contribution) => {
      lineage.addContribution(contribution);
      parent = fold(parent, [contribution]);
      lineage.addVersion(parent);
      return parent;
    });
    const [first, , last] = versions as [KnownVersion, KnownVersion, KnownVersion];
    lineage.passOver(first.cid);
    assert.deepEqual(labels(lineage.passedOver()), labels([first, last]));
    assert.equal(lineage.head().cid, GENESIS.cid);
    lineage.reconsider(last.cid);
    assert.equal(lineage.head().cid, last.cid);
    assert.deepEqual(lineage.passedOver(), []);
  });

  it("are never the genesis", () => {
    const lineage = createLineage();
    lineage.passOver(GENESIS.cid);
    assert.deepEqual(lineage.passedOver(), []);
    assert.equal(lineage.head().cid, GENESIS.cid);
  });
});

describe("lineage: versions that do not follow", () => {
  const both = contributeRound(GENESIS.cid, 0);
  const [a, b] = both;
  const child = fold(GENESIS, [a]);
  const cases: [string, KnownVersion, RegExp][] = [
    ["of another module", fold(GENESIS, both, { module: "lower/1" }), /of module lower\/1/],
    ["of a skipped generation", fold(GENESIS, both, { generation: 2 }), /generation is 2 and its parent's 0/],
    ["of generation 0 with a parent", fold(GENESIS, both, { generation: 0 }), /only a genesis/],
    ["without contributions", fold(GENESIS, []), /folds no contribution/],
    ["not in fold order", fold(GENESIS, both, { contributions: [b.cid, a.cid] }), /not in fold order/],
    ["with a contribution twice", fold(GENESIS, both, { contributions: [a.cid, a.cid] }), /each once/],
    ["with what its parent folded", fold(child, both), /repeats a round/],
    ["claiming more tokens", fold(GENESIS, both, { tokens: 17 }), /folded 16 tokens, not 17/],
    ["claiming fewer tokens", fold(GENESIS, both, { tokens: 15 }), /folded 16 tokens, not 15/],
    [
      "that are another genesis",
      { ...GENESIS, cid: cidOf("rival") },
      /genesis that the manifest does not name/,
    ],
  ];
  for (const [name, version, message] of cases)
    it(`are refused when ${name}`, () => {
      const lineage = createLineage();
      for (const contribution of both) lineage.addContribution(contribution);
      lineage.addVersion(child);
      assert.throws(() => lineage.addVersion(version), invalid(message));
      assert.equal(lineage.version(version.cid), undefined);
      assert.equal(lineage.head().cid, child.cid);
    });

  it("are refused with the reason when what they waited for arrives", () => {
    const lineage = createLineage();
    const version = fold(GENESIS, both, { tokens: 99 });
    assert.deepEqual(lineage.addVersion(version), { added: false, missing: a.cid, refused: [] });
    assert.deepEqual(lineage.addContribution(a).refused, []);
    const { refused } = lineage.addContribution(b);
    assert.deepEqual(labels(refused), labels([version]));
    assert.match(refused[0]!.reason, /folded 16 tokens, not 99/);
  });

  it("are dropped when they wait for a contribution of another module", () => {
    const lineage = createLineage();
    const foreign = contribute(GENESIS.cid, { module: "upper/0" });
    assert.equal(lineage.addVersion(fold(GENESIS, [foreign])).added, false);
    assert.throws(() => lineage.addContribution(foreign), invalid(/of module upper\/0/));
    assert.deepEqual(lineage.missing(), []);
  });

  it("never become head without descent from genesis, however many tokens they claim", () => {
    const lineage = createLineage();
    const rival = { ...GENESIS, cid: cidOf("rival") };
    const contribution = contribute(rival.cid, { steps: 4 });
    const version = fold(rival, [contribution]);
    assert.equal(lineage.addContribution(contribution).added, false);
    assert.equal(lineage.addVersion(version).added, false);
    assert.throws(() => lineage.addVersion(rival), invalid(/genesis/));
    assert.equal(lineage.head().cid, GENESIS.cid);
    assert.deepEqual(labels(lineage.versions()), labels([GENESIS]));
  });
});

describe("lineage: fork choice", () => {
  it("prefers more folded tokens to a higher generation", () => {
    const lineage = createLineage();
    const small = contribute(GENESIS.cid, { signer: "ann" });
    const long = extend(lineage, extend(lineage, GENESIS, [small]), [
      contribute(GENESIS.cid, { signer: "bob" }),
    ]);
    assert.equal(lineage.head().cid, long.cid);
    const heavy = extend(lineage, GENESIS, [contribute(GENESIS.cid, { signer: "cat", steps: 3 })]);
    assert.equal(lineage.head().cid, heavy.cid);
    assert.deepEqual(labels(lineage.ancestry()), labels([heavy, GENESIS]));
    assert.equal(lineage.descends(heavy.cid, GENESIS.cid), true);
    assert.equal(lineage.descends(heavy.cid, long.cid), false);
  });

  it("breaks ties by the lower CID, whichever came first", () => {
    const [a, b] = contributeRound(GENESIS.cid, 0);
    const rivals = [fold(GENESIS, [a]), fold(GENESIS, [b])];
    const lower = rivals.toSorted((x, y) => compareCids(x.cid, y.cid))[0]!;
    for (const order of [rivals, rivals.toReversed()]) {
      const lineage = createLineage();
      for (const contribution of [a, b]) lineage.addContribution(contribution);
      for (const version of order) lineage.addVersion(version);
      assert.equal(lineage.head().cid, lower.cid);
    }
  });

  it("keeps the work of a losing branch and what was computed from it as late contributions", () => {
    const lineage = createLineage();
    const shared = contribute(GENESIS.cid, { path: 0 });
    const lost = contribute(GENESIS.cid, { path: 1 });
    const loser = extend(lineage, GENESIS, [shared, lost]);
    const after = contribute(loser.cid, { round: 1 });
    lineage.addContribution(after);
    const more = contribute(GENESIS.cid, { replica: 1, steps: 4 });
    const winner = extend(lineage, GENESIS, [shared, more]);
    assert.equal(lineage.head().cid, winner.cid);
    assert.deepEqual(labels(lineage.pending()), labels([lost, after]));
    assert.equal(lineage.folded(shared.cid), true);
    const healed = extend(lineage, winner, [lost, after]);
    assert.equal(lineage.head().cid, healed.cid);
    assert.deepEqual(lineage.pending(), []);
    assert.deepEqual(labels(lineage.pending(loser.cid)), labels([more, after]), "each branch has its own");
  });
});

describe("lineage: verification", () => {
  it("a refused version and its descendants are never head, known before or after", () => {
    const first = contributeRound(GENESIS.cid, 0);
    const lie = fold(GENESIS, first, { salt: 1 });
    const onLie = contribute(lie.cid, { round: 1 });
    const child = fold(lie, [onLie]);
    for (const early of [true, false]) {
      const lineage = createLineage();
      for (const contribution of first) lineage.addContribution(contribution);
      if (early) lineage.refuse(lie.cid, "folding again gives another version");
      lineage.addVersion(lie);
      lineage.addContribution(onLie);
      lineage.addVersion(child);
      if (!early) {
        assert.equal(lineage.head().cid, child.cid);
        lineage.refuse(lie.cid, "folding again gives another version");
      }
      assert.equal(lineage.head().cid, GENESIS.cid);
      assert.equal(lineage.refusal(lie.cid), "folding again gives another version");
      assert.deepEqual(labels(lineage.pending()), labels([...first, onLie]));
      const honest = fold(GENESIS, first);
      lineage.addVersion(honest);
      assert.equal(lineage.head().cid, honest.cid);
    }
  });

  it("a confirmed version bars all others of the same parent and contributions", () => {
    const first = contributeRound(GENESIS.cid, 0);
    const honest = fold(GENESIS, first);
    const lies = Array.from({ length: 8 }, (_, salt) => fold(GENESIS, first, { salt: salt + 1 }));
    const lineage = createLineage();
    for (const contribution of first) lineage.addContribution(contribution);
    for (const version of [...lies.slice(0, 4), honest]) lineage.addVersion(version);
    lineage.confirm(honest.cid);
    for (const version of lies.slice(4)) lineage.addVersion(version);
    assert.equal(lineage.head().cid, honest.cid);
    assert.equal(lineage.confirmed(honest.cid), true);
    assert.equal(lineage.confirmed(lies[0]!.cid), false);
    assert.equal(lineage.confirmed(GENESIS.cid), true);
  });

  it("refuses to give up genesis", () => {
    assert.throws(() => createLineage().refuse(GENESIS.cid, "bad"), invalid(/genesis of lower\/0/));
  });
});

describe("lineage: long histories", () => {
  it("5000 generations: late work is found folded or open, and a joiner catches up", () => {
    const lineage = createLineage();
    let head = GENESIS;
    const first = contribute(GENESIS.cid, { signer: "first" });
    head = extend(lineage, head, [first]);
    for (let generation = 1; generation < 5000; generation++)
      head = extend(lineage, head, [contribute(head.cid, { signer: `peer ${generation}` })]);
    assert.equal(lineage.module, MODULE);
    assert.equal(lineage.head().generation, 5000);
    assert.equal(lineage.folded(first.cid), true);
    assert.equal(lineage.ancestry(undefined, 3).length, 3);
    assert.throws(
      () => lineage.addVersion(fold(head, [{ ...first, base: head.cid }])),
      invalid(/repeats a round|generations old/),
    );
    const joiner = createLineage();
    const lack = joiner.have();
    const { versions, contributions, more } = lineage.since(lack, 1000);
    assert.equal(more, true);
    assert.ok(versions.length >= 499 && versions.length <= 1000);
    for (const cid of contributions) joiner.addContribution(lineage.contribution(cid)!);
    for (const cid of versions) joiner.addVersion(lineage.version(cid)!);
    assert.equal(joiner.head().generation, versions.length);
    assert.deepEqual(joiner.missing(), []);
  });
});

describe("lineage: the router", () => {
  const init = createInit({}, ROUTER);

  it("has a genesis, and is complete with it", () => {
    const lineage = new Lineage(init);
    assert.equal(lineage.head().generation, 0);
    assert.deepEqual(lineage.pending(), []);
  });

  it("takes no contribution of a path, and no version, where no work changes it", () => {
    const lineage = new Lineage(init);
    const contribution = contribute(init.genesis.cid, { module: ROUTER });
    assert.throws(
      () => lineage.addContribution(contribution),
      invalid(/path 0 does not pass through router/),
    );
    assert.throws(() => lineage.addVersion(fold(init.genesis, [contribution])), invalid(/no work changes/));
    assert.deepEqual(lineage.orphans(), []);
  });
});
