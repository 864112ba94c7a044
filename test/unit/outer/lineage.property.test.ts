import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../../src/outer/lineage.ts";
import { authorship } from "../../../src/outer/rules.ts";
import { compareHeads } from "../../../src/outer/order.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";
import { GENESIS, contribute, createLineage, fold, labels } from "./history.ts";

type Step =
  | {
      do: "contribute";
      base: number;
      round: number;
      path: number;
      replica: number;
      signer: string;
      steps: number;
    }
  | { do: "fold"; parent: number; subset: number; salt: number }
  | { do: "refuse"; version: number }
  | { do: "refuse contribution"; contribution: number }
  | { do: "confirm"; version: number };

const index = fc.nat(1000);
/** Steps that build a history with forks, late work, double work, false versions and refusals. */
const stepsArbitrary = fc.array(
  fc.oneof(
    {
      weight: 15,
      arbitrary: fc.record({
        do: fc.constant("contribute" as const),
        base: index,
        round: fc.nat(3),
        path: fc.nat(1),
        replica: fc.nat(1),
        signer: fc.constantFrom("ann", "bob"),
        steps: fc.integer({ min: 1, max: 4 }),
      }),
    },
    {
      weight: 15,
      arbitrary: fc.record({
        do: fc.constant("fold" as const),
        parent: index,
        subset: fc.integer({ min: 1, max: 1023 }),
        salt: fc.nat(1),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("refuse" as const), version: index }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("refuse contribution" as const), contribution: index }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("confirm" as const), version: index }) },
  ),
  { minLength: 1, maxLength: 60 },
) as fc.Arbitrary<Step[]>;

type Message =
  | { type: "version"; version: KnownVersion }
  | { type: "contribution"; contribution: KnownContribution }
  | { type: "refuse"; cid: CID };

/** Runs the steps on a lineage that knows everything, and returns the messages that tell of it. */
function build(steps: Step[]): { lineage: Lineage; messages: Message[]; confirmed: CID[] } {
  const lineage = createLineage();
  const messages: Message[] = [];
  const confirmed: CID[] = [];
  const pick = <T>(items: T[], at: number): T | undefined => items[at % Math.max(1, items.length)];
  for (const step of steps) {
    if (step.do === "contribute") {
      // Recent versions are likelier bases, so that histories grow deep as well as wide.
      const base = pick(lineage.versions().toReversed().slice(0, 6), step.base)!;
      const { round, path, replica, signer } = step;
      const contribution = contribute(base.cid, { round, path, replica, signer, steps: step.steps });
      lineage.addContribution(contribution);
      messages.push({ type: "contribution", contribution });
    } else if (step.do === "fold") {
      const parent = pick(lineage.versions().toReversed().slice(0, 4), step.parent)!;
      const chosen = lineage.pending(parent.cid).filter((_, at) => ((step.subset >> (at % 10)) & 1) === 1);
      if (chosen.length === 0) continue;
      const version = fold(parent, chosen, { salt: step.salt });
      lineage.addVersion(version);
      messages.push({ type: "version", version });
    } else if (step.do === "refuse contribution") {
      const contribution = pick(lineage.contributions(), step.contribution);
      if (contribution === undefined) continue;
      lineage.refuse(contribution.cid, "test");
      messages.push({ type: "refuse", cid: contribution.cid });
    } else {
      const version = pick(lineage.versions().slice(1), step.version);
      // Folding again has one outcome: a version is refused or confirmed, not both.
      if (version === undefined || lineage.confirmed(version.cid) || lineage.refusal(version.cid)) continue;
      if (step.do === "confirm") {
        const rival = lineage
          .versions()
          .find(
            (other) => confirmed.some((cid) => cid.equals(other.cid)) && other.parent?.equals(version.parent),
          );
        if (rival !== undefined) continue;
        lineage.confirm(version.cid);
        confirmed.push(version.cid);
      } else {
        lineage.refuse(version.cid, "test");
        messages.push({ type: "refuse", cid: version.cid });
      }
    }
  }
  return { lineage, messages, confirmed };
}

function deliver(lineage: Lineage, message: Message): void {
  if (message.type === "version") lineage.addVersion(message.version);
  else if (message.type === "contribution") lineage.addContribution(message.contribution);
  else lineage.refuse(message.cid, "test");
}

function view(lineage: Lineage): unknown {
  return {
    head: lineage.head().cid.toString(),
    pending: labels(lineage.pending()),
    rejected: lineage.rejected().map(({ cid, reason }) => `${cid.toString()} ${reason}`),
    folded: labels(lineage.contributions().filter((contribution) => lineage.folded(contribution.cid))),
    versions: labels(lineage.versions()),
    contributions: labels(lineage.contributions()),
    missing: lineage.missing(),
  };
}

/** Ancestors by walking parents, without anything that the lineage keeps for speed. */
function walk(lineage: Lineage, from: KnownVersion): KnownVersion[] {
  const versions = [from];
  for (let at = from; at.parent !== null; versions.push(at)) at = lineage.version(at.parent)!;
  return versions;
}

describe("lineage properties", () => {
  it("any order of arrival gives the same head, pending, rejected and folded sets", () => {
    fc.assert(
      fc.property(stepsArbitrary, fc.infiniteStream(fc.nat()), (steps, order) => {
        const { lineage, messages, confirmed } = build(steps);
        const shuffled = messages
          .map((message) => ({ message, at: order.next().value as number }))
          .toSorted((a, b) => a.at - b.at);
        const other = createLineage();
        for (const { message } of shuffled) {
          deliver(other, message);
          // Asking in between must not change what comes out in the end.
          other.pending();
          for (const cid of confirmed) other.confirm(cid);
        }
        assert.deepEqual(view(other), view(lineage));
      }),
      { numRuns: 300 },
    );
  });

  it("what is asked after every arrival is what a lineage says that is asked once", () => {
    fc.assert(
      fc.property(stepsArbitrary, (steps) => {
        const { messages } = build(steps);
        const lineage = createLineage();
        for (const [index, message] of messages.entries()) {
          deliver(lineage, message);
          const once = createLineage();
          for (const earlier of messages.slice(0, index + 1)) deliver(once, earlier);
          assert.deepEqual(view(lineage), view(once));
          assert.deepEqual(labels(lineage.usable()), labels(once.usable()));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("no branch folds a contribution, or a peer's round, twice; every one is folded, pending or rejected", () => {
    fc.assert(
      fc.property(stepsArbitrary, (steps) => {
        const { lineage } = build(steps);
        for (const version of lineage.versions()) {
          const ancestors = walk(lineage, version);
          assert.equal(ancestors.at(-1), GENESIS);
          assert.deepEqual(labels(lineage.ancestry(version.cid)), labels(ancestors));
          const folded = ancestors.flatMap((ancestor) => ancestor.contributions);
          assert.equal(new Set(folded.map(String)).size, folded.length);
          const authors = folded.map((cid) => authorship(lineage.contribution(cid)!));
          assert.equal(new Set(authors).size, authors.length);
          const tokens = folded.reduce((sum, cid) => sum + lineage.contribution(cid)!.tokens, 0);
          assert.equal(version.tokens, tokens);
          for (const contribution of lineage.pending(version.cid)) {
            assert.equal(
              folded.some((cid) => cid.equals(contribution.cid)),
              false,
            );
            assert.equal(authors.includes(authorship(contribution)), false);
            const base = lineage.version(contribution.base)!;
            assert.ok(version.generation - base.generation <= 2);
          }
        }
        const folded = lineage.ancestry().flatMap((version) => version.contributions);
        const all = [...folded, ...[...lineage.pending(), ...lineage.rejected()].map(({ cid }) => cid)];
        assert.deepEqual(all.map(String).toSorted(), labels(lineage.contributions()).toSorted());
        for (const { cid } of lineage.contributions())
          assert.equal(
            lineage.folded(cid),
            folded.some((other) => other.equals(cid)),
          );
      }),
      { numRuns: 200 },
    );
  });

  it("the head is the best version without a refused ancestor", () => {
    fc.assert(
      fc.property(stepsArbitrary, (steps) => {
        const { lineage } = build(steps.filter((step) => step.do !== "confirm"));
        const usable = lineage
          .versions()
          .filter((version) => walk(lineage, version).every((ancestor) => !lineage.refusal(ancestor.cid)));
        assert.equal(lineage.head().cid, usable.toSorted(compareHeads)[0]!.cid);
      }),
      { numRuns: 200 },
    );
  });

  it("passing versions over leaves the best that builds on none of them, and taking them back changes nothing", () => {
    fc.assert(
      fc.property(stepsArbitrary, fc.array(index), fc.nat(), (steps, chosen, at) => {
        const { lineage, messages, confirmed } = build(steps);
        const passing = createLineage();
        const passed = new Set<string>();
        for (const [sent, message] of messages.entries()) {
          if (sent === at % messages.length)
            for (const each of chosen) {
              const version = passing.versions()[each % passing.versions().length]!;
              passing.passOver(version.cid);
              if (version.generation > 0) passed.add(version.cid.toString());
            }
          deliver(passing, message);
        }
        for (const cid of confirmed) passing.confirm(cid);
        const usable = passing
          .versions()
          .filter((version) =>
            walk(passing, version).every(
              ({ cid }) => passing.refusal(cid) === undefined && !passed.has(cid.toString()),
            ),
          );
        if (confirmed.length === 0) assert.equal(passing.head().cid, usable.toSorted(compareHeads)[0]!.cid);
        for (const cid of passing.passedOver().map((version) => version.cid)) passing.reconsider(cid);
        assert.deepEqual(passing.passedOver(), []);
        assert.deepEqual(view(passing), view(lineage));
      }),
      { numRuns: 200 },
    );
  });

  it("all pending contributions together always make a valid next version", () => {
    fc.assert(
      fc.property(stepsArbitrary, (steps) => {
        const { lineage } = build(steps);
        const [head, pending] = [lineage.head(), lineage.pending()];
        if (pending.length === 0) return;
        const next = fold(head, pending, { salt: 2 });
        assert.equal(lineage.addVersion(next).added, true);
        assert.equal(lineage.head().cid, next.cid);
        assert.deepEqual(lineage.pending(), []);
      }),
      { numRuns: 200 },
    );
  });

  it("versions without descent from genesis change nothing, in any order", () => {
    const rival = { ...GENESIS, cid: fold(GENESIS, []).cid };
    fc.assert(
      fc.property(stepsArbitrary, fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), (steps, chain) => {
        const { lineage, messages } = build(steps);
        const before = { ...(view(lineage) as object), missing: undefined };
        const stray: Message[] = [];
        let parent = rival;
        for (const [round, deep] of chain.entries()) {
          const contribution = contribute(parent.cid, { round, steps: 4 });
          const version = fold(parent, [contribution]);
          stray.push({ type: "contribution", contribution }, { type: "version", version });
          if (deep) parent = version;
        }
        for (const message of stray) deliver(lineage, message);
        assert.deepEqual({ ...(view(lineage) as object), missing: undefined }, before);
        const early = createLineage();
        for (const message of [...stray, ...messages]) deliver(early, message);
        for (const { message } of stray.map((item) => ({ message: item })))
          if (message.type === "version") assert.equal(early.version(message.version.cid), undefined);
      }),
      { numRuns: 100 },
    );
  });
});

describe("anti-entropy properties", () => {
  /** Asks until nothing more is lacking; every answer must bring something new. */
  function catchUp(asker: Lineage, server: Lineage, limit = 4096): void {
    for (let turn = 0; ; turn++) {
      assert.ok(turn < 500, "no progress");
      const lack = server.since(asker.have(), limit);
      if (lack.versions.length + lack.contributions.length === 0) break;
      const before = asker.versions().length + asker.contributions().length;
      for (const cid of lack.contributions) asker.addContribution(server.contribution(cid)!);
      for (const cid of lack.versions) asker.addVersion(server.version(cid)!);
      if (!lack.more && asker.versions().length + asker.contributions().length === before) break;
    }
  }

  it("two peers that know parts of one history agree after asking each other", () => {
    fc.assert(
      fc.property(
        stepsArbitrary,
        fc.infiniteStream(fc.boolean()),
        fc.infiniteStream(fc.boolean()),
        (steps, first, second) => {
          const { messages } = build(steps.filter((step) => step.do === "contribute" || step.do === "fold"));
          const [left, right] = [createLineage(), createLineage()];
          for (const message of messages) {
            if (first.next().value === true) deliver(left, message);
            if (second.next().value === true) deliver(right, message);
          }
          // A new head may make rejected work pending again, so one turn each is not always enough.
          for (let turn = 0; turn < 4; turn++) {
            catchUp(left, right);
            catchUp(right, left);
          }
          assert.equal(left.head().cid.toString(), right.head().cid.toString());
          assert.deepEqual(labels(left.pending()), labels(right.pending()));
        },
      ),
      { numRuns: 300 },
    );
  });

  /** Rounds of one side of a partition: the steps of each path's contribution, 0 for none. */
  const side = fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 4 });

  it("a healed partition of several generations has one head, and the losing side's work is folded late, once", () => {
    const seen = { late: 0, stale: 0 };
    fc.assert(
      fc.property(
        fc.nat(2),
        side,
        side,
        fc.constantFrom(2, 9),
        fc.infiniteStream(fc.integer({ min: 0, max: 2 })),
        fc.infiniteStream(fc.nat()),
        (together, ann, bob, maxStaleness, copies, order) => {
          const lineages = { ann: createLineage({ maxStaleness }), bob: createLineage({ maxStaleness }) };
          const both = Object.values(lineages);
          const train = (who: "ann" | "bob", steps: number[], hearers: Lineage[]): Message[] => {
            const head = lineages[who].head();
            const contributions = steps.flatMap((count, path) =>
              count === 0
                ? []
                : [contribute(head.cid, { round: head.generation, path, signer: who, steps: count })],
            );
            const messages: Message[] = [
              ...contributions.map((contribution) => ({ type: "contribution" as const, contribution })),
              { type: "version", version: fold(head, contributions) },
            ];
            for (const message of messages) for (const hearer of hearers) deliver(hearer, message);
            return messages;
          };
          for (let round = 0; round < together; round++) train("ann", [1, 1], both);
          const said = {
            ann: ann.flatMap((steps) => train("ann", steps, [lineages.ann])),
            bob: bob.flatMap((steps) => train("bob", steps, [lineages.bob])),
          };
          // Once healed, some messages of each side come late, in any order, once or twice or never.
          for (const [hearer, messages] of [
            [lineages.ann, said.bob],
            [lineages.bob, said.ann],
          ] as const) {
            const shuffled = messages
              .flatMap((message) => Array.from({ length: copies.next().value! }, () => message))
              .map((message) => ({ message, at: order.next().value! }))
              .toSorted((a, b) => a.at - b.at);
            for (const { message } of shuffled) deliver(hearer, message);
          }
          const best = both.map((lineage) => lineage.head()).toSorted(compareHeads)[0]!;
          catchUp(lineages.ann, lineages.bob);
          catchUp(lineages.bob, lineages.ann);
          for (const lineage of both) assert.equal(lineage.head().cid.toString(), best.cid.toString());
          assert.deepEqual(labels(lineages.ann.pending()), labels(lineages.bob.pending()));
          const late = lineages.ann.pending();
          const healed = late.length === 0 ? best : fold(best, late);
          if (late.length > 0) for (const lineage of both) lineage.addVersion(healed);
          for (const lineage of both) {
            assert.equal(lineage.head().cid.toString(), healed.cid.toString());
            assert.equal(walk(lineage, healed).at(-1), GENESIS);
            const folded = lineage.ancestry().flatMap((version) => version.contributions.map(String));
            const rejected = labels(lineage.rejected());
            assert.deepEqual(
              [...folded, ...rejected].toSorted(),
              labels(lineage.contributions()).toSorted(),
              "each is folded once or rejected",
            );
            for (const { reason } of lineage.rejected()) assert.match(reason, /over 2 generations older/);
            if (rejected.length > 0) seen.stale++;
          }
          // Each side knows its own work, so between them nothing is forgotten.
          const known = new Set(both.flatMap((lineage) => labels(lineage.contributions())));
          for (const message of [...said.ann, ...said.bob])
            if (message.type === "contribution") assert.ok(known.has(message.contribution.cid.toString()));
          if (late.length > 0) seen.late++;
        },
      ),
      { numRuns: 300 },
    );
    assert.ok(seen.late > 100 && seen.stale > 10, JSON.stringify(seen));
  });

  it("a joiner gets the head, its history and all pending work", () => {
    fc.assert(
      fc.property(stepsArbitrary, fc.constantFrom(1, 3, 4096), (steps, limit) => {
        const { lineage } = build(steps.filter((step) => step.do === "contribute" || step.do === "fold"));
        const joiner = createLineage();
        catchUp(joiner, lineage, limit);
        assert.equal(joiner.head().cid.toString(), lineage.head().cid.toString());
        assert.deepEqual(labels(joiner.pending()), labels(lineage.pending()));
        assert.deepEqual(joiner.missing(), []);
      }),
      { numRuns: 200 },
    );
  });

  it("an answer may be cut anywhere: nothing in it waits for what was cut off", () => {
    fc.assert(
      fc.property(stepsArbitrary, fc.nat(40), (steps, length) => {
        const { lineage } = build(steps.filter((step) => step.do === "contribute" || step.do === "fold"));
        const joiner = createLineage();
        const { order, versions, contributions } = lineage.since(joiner.have());
        assert.deepEqual(
          order.map(String).toSorted(),
          [...versions, ...contributions].map(String).toSorted(),
        );
        for (const cid of order.slice(0, length)) {
          const version = lineage.version(cid);
          const { added } =
            version === undefined
              ? joiner.addContribution(lineage.contribution(cid)!)
              : joiner.addVersion(version);
          assert.equal(added, true);
        }
        assert.deepEqual(joiner.missing(), []);
      }),
      { numRuns: 200 },
    );
  });

  it("says that it lacks nothing to a peer that has the same", () => {
    fc.assert(
      fc.property(stepsArbitrary, (steps) => {
        const { lineage } = build(steps);
        assert.deepEqual(lineage.since(lineage.have()), {
          versions: [],
          contributions: [],
          order: [],
          more: false,
        });
      }),
      { numRuns: 100 },
    );
  });
});
