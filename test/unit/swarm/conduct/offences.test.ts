import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { cidOf, contribute, fold, GENESIS } from "../../outer/history.ts";
import {
  BLOCK_SCORE,
  createConduct,
  OFFENCES,
  type Offence,
} from "../../../../src/swarm/conduct/offences.ts";
import { createPublications } from "../../../../src/swarm/conduct/publications.ts";

const MINUTE = 60_000;
const offences = Object.keys(OFFENCES) as Offence[];

describe("conduct", () => {
  it("blocks at once who publishes a false version, and for a time only", () => {
    const conduct = createConduct();
    assert.equal(conduct.charge("eve", "invalid-version", 0), 10 * MINUTE);
    assert.ok(conduct.blocked("eve", 10 * MINUTE - 1));
    assert.ok(!conduct.blocked("eve", 10 * MINUTE));
    assert.ok(!conduct.blocked("ann", 1));
  });

  it("blocks for the second lesser offence, and forgives with time", () => {
    const conduct = createConduct();
    assert.equal(conduct.charge("eve", "malformed-message", 0), 0);
    assert.equal(conduct.score("eve", 0), 50);
    assert.equal(conduct.score("eve", 10 * MINUTE), 25);
    assert.equal(conduct.charge("eve", "malformed-message", 10 * MINUTE), 0);
    assert.ok(conduct.charge("eve", "malformed-message", 10 * MINUTE + 1) > 0);
  });

  it("blocks for twice as long each time, at most for a day", () => {
    const conduct = createConduct();
    let now = 0;
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const milliseconds = conduct.charge("eve", "contradiction", now);
      times.push(milliseconds / MINUTE);
      now += milliseconds;
    }
    assert.deepEqual(times, [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
  });

  it("says once that a peer is blocked, however often it offends meanwhile", () => {
    const conduct = createConduct();
    assert.ok(conduct.charge("eve", "invalid-version", 0) > 0);
    assert.equal(conduct.charge("eve", "invalid-version", 1), 0);
  });

  it("is blocked exactly when a charge said so, for any sequence of offences", () => {
    const charge = fc.record({
      peer: fc.constantFrom("eve", "mallory"),
      offence: fc.constantFrom(...offences),
      after: fc.nat(20 * MINUTE),
    });
    fc.assert(
      fc.property(fc.array(charge, { maxLength: 40 }), (charges) => {
        const conduct = createConduct();
        const until = new Map<string, number>();
        let now = 0;
        for (const { peer, offence, after } of charges) {
          now += after;
          const before = conduct.score(peer, now);
          const milliseconds = conduct.charge(peer, offence, now);
          assert.ok(Math.abs(conduct.score(peer, now) - before - OFFENCES[offence]) < 1e-9);
          if (milliseconds > 0) until.set(peer, now + milliseconds);
          assert.equal(conduct.blocked(peer, now), (until.get(peer) ?? 0) > now);
          assert.ok(conduct.score(peer, now) < BLOCK_SCORE || conduct.blocked(peer, now));
        }
      }),
    );
  });

  it("remembers the blocked before others when identities flood it", () => {
    const conduct = createConduct();
    conduct.charge("eve", "invalid-version", 0);
    for (let i = 0; i < 10_000; i++) conduct.charge(`sybil-${i}`, "bad-exchange", 1);
    assert.ok(conduct.blocked("eve", 2));
    assert.equal(conduct.score("sybil-0", 2), 0, "the first of the flood is forgotten");
    assert.ok(conduct.score("sybil-9999", 2) > 0);
  });
});

describe("publications", () => {
  const contribution = contribute(GENESIS.cid);
  const version = fold(GENESIS, [contribution]);
  const other = { ...version, cid: cidOf("another outcome"), state: { parameters: cidOf("other tensors") } };

  it("of two outcomes of one fold by one peer are noticed", () => {
    const note = createPublications();
    assert.equal(note("eve", version), undefined);
    assert.equal(note("eve", version), undefined, "saying it again is no contradiction");
    assert.deepEqual(note("eve", other), version.cid);
  });

  it("of different peers, or of different folds, do not contradict each other", () => {
    const note = createPublications();
    assert.equal(note("eve", version), undefined);
    assert.equal(note("ann", other), undefined);
    const more = fold(GENESIS, [contribution, contribute(GENESIS.cid, { path: 1 })]);
    assert.equal(note("eve", more), undefined);
  });
});
