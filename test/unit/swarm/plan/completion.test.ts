import assert from "node:assert/strict";
import { test } from "node:test";
import { Completion } from "../../../../src/swarm/plan/completion.ts";

function create(): { completion: Completion; saves: PromiseWithResolvers<void>[]; said(): number } {
  const saves: PromiseWithResolvers<void>[] = [];
  let said = 0;
  const save = (): Promise<void> => {
    saves.push(Promise.withResolvers());
    return saves.at(-1)!.promise;
  };
  return { completion: new Completion(save, () => said++), saves, said: () => said };
}

test("a run is said to be complete once it is on disk", async () => {
  const { completion, saves, said } = create();
  assert.ok(!completion.note(false));
  assert.ok(completion.note(true));
  const told = completion.tell();
  assert.ok(!completion.note(true), "it is under way");
  assert.equal(said(), 0);
  saves[0]!.resolve();
  await told;
  assert.equal(said(), 1);
  assert.ok(!completion.note(true), "it was said");
});

test("what is taken back and given again while the disk writes is written, and said once", async () => {
  const { completion, saves, said } = create();
  completion.note(true);
  const told = completion.tell();
  completion.note(false);
  assert.ok(!completion.note(true), "who tells now tells this, too");
  saves[0]!.resolve();
  await saves[0]!.promise;
  assert.equal(said(), 0, "the first write may have begun before the last versions");
  assert.equal(saves.length, 2);
  saves[1]!.resolve();
  await told;
  assert.equal(said(), 1);
});

test("what is taken back is not said, and may be said later; a disk that refuses takes nothing from that", async () => {
  const { completion, saves, said } = create();
  completion.note(true);
  const first = completion.tell();
  completion.note(false);
  saves[0]!.resolve();
  await first;
  assert.equal(said(), 0);
  assert.ok(completion.note(true));
  const second = completion.tell();
  saves[1]!.reject(new Error("full"));
  await assert.rejects(second, /full/);
  assert.equal(said(), 0);
  completion.note(false);
  assert.ok(completion.note(true));
});
