/** A peer that ends between two writes: what its disk holds is known to all after a restart. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { CID } from "multiformats/cid";
import { Contribution } from "../../../src/objects/contribution.ts";
import { dagCborCid, kindOf } from "../../../src/objects/object.ts";
import { createArena, eventually, quickConfig, startMember } from "./support.ts";

const config = quickConfig(3);

for (const moment of ["before", "after"] as const)
  test(`a peer that is killed right ${moment} a round is retained announces all that its disk holds of it`, async (t) => {
    const arena = await createArena(t);
    const struck = await startMember(arena, { name: "struck", config, bootstrap: [] });
    const killed = Promise.withResolvers<void>();
    const { retainTogether } = struck.store;
    struck.store.retainTogether = async (changes, records) => {
      const list = [...changes];
      const isRound = list.some(([pin]) => pin.startsWith("path-state:"));
      // What a kill leaves; what happens to the first folder from then on is of no account.
      const kill = (): void => {
        struck.store.retainTogether = retainTogether;
        cpSync(join(arena.directory, "struck"), join(arena.directory, "copy"), { recursive: true });
        killed.resolve();
      };
      if (isRound && moment === "before") kill();
      await retainTogether(list, records);
      if (isRound && moment === "after") kill();
    };
    await killed.promise;
    await struck.swarm.stop().finally(() => struck.stop());
    arena.members.length = 0;

    const again = await startMember(arena, { name: "copy", config, bootstrap: [] });
    const held: CID[] = [];
    for await (const bytes of again.store.all())
      if (kindOf(bytes)?.startsWith(Contribution.kind)) held.push(dagCborCid(bytes));
    assert.equal(held.length, moment === "before" ? 0 : 2, "a contribution to each module, or to none");
    const bootstrap = again.network.addresses();
    const other = await startMember(arena, { name: "other", config, bootstrap });
    const modules = other.swarm.heads().map(({ module }) => module);
    const knows = (cid: CID): boolean =>
      modules.some((module) => other.swarm.lineage(module).contribution(cid) !== undefined);
    await eventually([again, other], () => held.every(knows) && again.swarm.coordinator.done());
  });
