/** Which slot of a lane is next follows from what the head folded, also after the head went back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Lineage } from "../../../../src/outer/lineage.ts";
import type { KnownVersion } from "../../../../src/outer/types.ts";
import { createPlan } from "../../../../src/plan/plan.ts";
import { OpenSlots } from "../../../../src/swarm/plan/open-slots.ts";
import { contribute, createInit, fold, genesisOf } from "../../outer/history.ts";

const { config, topology } = createInit();
const plan = createPlan({ config, topology, shards: [] });

test("a slot is open again when the version that folded it is passed over and its work is lost", () => {
  const lineages = new Map(
    topology.moduleNames.map((module) => [module, new Lineage(createInit({}, module))] as const),
  );
  const open = new OpenSlots(plan, lineages);
  const lane = plan.lanes[0]!;
  const lost = lane.modules.map((module) => contribute(genesisOf(module).cid, { module }));
  const first = lost.map((contribution): KnownVersion => {
    const lineage = lineages.get(contribution.module)!;
    lineage.addContribution(contribution);
    const version = fold(lineage.head(), [contribution]);
    lineage.addVersion(version);
    return version;
  });
  assert.equal(open.slots()[0]!.round, 1);

  for (const { module, cid } of first) lineages.get(module)!.passOver(cid);
  const discount = new Map(lost.map((contribution) => [contribution.cid.toString(), contribution]));
  assert.equal(open.slots(discount)[0]!.round, 0, "somebody has to do it again");
  assert.equal(open.slots()[0]!.round, 1, "who can have the work waits for it");

  for (const { module, cid } of first) lineages.get(module)!.reconsider(cid);
  assert.equal(open.slots(discount)[0]!.round, 1);
});
