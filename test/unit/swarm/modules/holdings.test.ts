/** Which versions a peer takes for its own, and which it looks at first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../src/clock.ts";
import { InvalidObjectError } from "../../../../src/errors.ts";
import type { KnownVersion } from "../../../../src/outer/types.ts";
import { Holdings, type HoldingsInit } from "../../../../src/swarm/modules/holdings.ts";
import { contribute, createConfig, createLineage, fold, GENESIS, MODULE } from "../../outer/history.ts";

test("a version that names tensors which are on this disk, and that nobody folded here, is folded again and barred", async () => {
  const lineage = createLineage();
  const contribution = contribute(GENESIS.cid);
  lineage.addContribution(contribution);
  const honest = fold(GENESIS, [contribution]);
  // It names the tensors of the genesis, which every peer has.
  const lie = fold(GENESIS, [contribution], { state: { ...honest.state, ...GENESIS.state } });
  lineage.addVersion(lie);
  const kept = new Set<string>();
  const init = {
    clock: systemClock,
    tasks: { within: () => new AbortController().signal },
    self: "peer",
    config: createConfig(),
    packs: { complete: async () => true },
    states: { fold: async () => ({ version: honest }) },
    gradients: { examine: async () => {} },
    holders: { ofVersion: () => [], ofGradient: () => [] },
    retention: {
      keepsVersion: async ({ cid }: KnownVersion) => kept.has(cid.toString()),
      retainVersion: async ({ cid }: KnownVersion) => void kept.add(cid.toString()),
      retainGradient: async () => {},
    },
    isTried: () => false,
    lineage: () => lineage,
    refused() {},
    emit() {},
  } as unknown as HoldingsInit;
  assert.equal(init.config.swarm.verify, "all");
  assert.ok(lineage.head().cid.equals(lie.cid));

  await assert.rejects(new Holdings(init).materialise(lie), InvalidObjectError);
  assert.ok(lineage.head().cid.equals(GENESIS.cid), `${MODULE} goes back`);
  lineage.addVersion(honest);
  await new Holdings(init).materialise(honest);

  // A restart knows what it kept, and folds nothing again.
  const again = {
    ...init,
    states: { fold: () => assert.fail("it was folded here") },
  } as unknown as HoldingsInit;
  await new Holdings(again).materialise(honest);
});
