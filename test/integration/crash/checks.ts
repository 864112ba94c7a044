/** What a restart after a crash must find, wherever the disk is. */
import assert from "node:assert/strict";
import { CID } from "multiformats/cid";
import { Contribution } from "../../../src/objects/contribution.ts";
import { dagCborCid, kindOf } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { blockKey } from "../../../src/store/layout.ts";
import { middleOf, MODULES, ROUNDS, type Sequence } from "./sequence.ts";

/** What lies on the disk and what a restart knows of are the same: whoever reads the blocks finds no forgotten work. */
async function assertForgetsNothing({ store, lineages }: Sequence): Promise<void> {
  for await (const bytes of store.all()) {
    if (kindOf(bytes) !== Version.kind && !kindOf(bytes)?.startsWith(Contribution.kind)) continue;
    const cid = dagCborCid(bytes);
    const known = [...lineages.values()].some(
      (lineage) => lineage.version(cid) !== undefined || lineage.contribution(cid) !== undefined,
    );
    assert.ok(known, `the ${kindOf(bytes)} ${cid} is on the disk, and a restart knows nothing of it`);
  }
}

/** Every announced record is there, with its tensors. */
async function assertHolds(
  { lineages, packs }: Sequence,
  announced: string[],
  undisturbed: string[],
): Promise<void> {
  for (const text of announced) {
    const cid = CID.parse(text);
    const found = [...lineages.values()].flatMap((lineage) => {
      const { delta } = lineage.contribution(cid) ?? {};
      const packs = Object.values(lineage.version(cid)?.state ?? {});
      return delta === undefined ? packs : [delta, ...packs];
    });
    assert.ok(found.length > 0, `${text} was announced and is lost`);
    // Tensors of the first round may have been let go of at the end.
    for (const pack of found)
      if (!undisturbed.slice(0, 2).includes(text))
        await packs.read(pack, { maxBytes: 1 << 20, signal: AbortSignal.abort() });
  }
}

/**
 * The contributions of a round are there for all modules, with the optimizer state after it, or for none, with the one
 * before; and what is kept of a round is whole, or nothing is.
 */
async function assertUnmixed({ lineages, stepBefore, kept }: Sequence): Promise<void> {
  const middle = await kept();
  if (middle !== undefined) assert.deepEqual(middle, middleOf(middle.slot.round, middle.bases));
  for (let round = 0; round < ROUNDS; round++) {
    const complete = MODULES.map((module) =>
      lineages.get(module)!.completed({ work: "train", round, path: 0, replica: 0 }),
    );
    assert.equal(new Set(complete).size, 1, `round ${round}: ${complete}`);
    const last =
      round + 1 === ROUNDS ||
      !lineages.get(MODULES[0]!)!.completed({ work: "train", round: round + 1, path: 0, replica: 0 });
    if (last) assert.equal(await stepBefore(round + 1), complete[0] ? 4 * (round + 1) : undefined);
  }
}

/**
 * Checks what a crash left, finishes the run, and checks that it is the undisturbed one. `announced` and `undisturbed` are
 * CIDs, in order: of what was announced before the crash, and of what a run without one announces.
 */
export async function assertSound(
  crashed: Sequence,
  announced: string[],
  undisturbed: string[],
): Promise<void> {
  assert.ok(crashed.store.complete);
  await assertForgetsNothing(crashed);
  await assertUnmixed(crashed);
  await assertHolds(crashed, announced, undisturbed);
  await crashed.goOn(() => {});
  // As many sweeps as it takes for what nobody needs; nothing piles up, and nothing that is needed goes.
  await crashed.store.sweep(0);
  await assertHolds(crashed, undisturbed, undisturbed);
}

/** How many blocks are pinned or in a log. */
export async function blocksNeeded({ store }: Sequence): Promise<number> {
  const pinned = await Promise.all((await store.pins()).map((pin) => store.retained(pin)));
  const needed = new Set(pinned.flat().map(blockKey));
  for (const module of MODULES)
    for await (const { cid } of store.records.entries(module)) needed.add(blockKey(cid));
  return needed.size;
}
