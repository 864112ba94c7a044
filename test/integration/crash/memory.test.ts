/**
 * Kills and losses of power at both ends of every operation on the disk in memory. Of what was not flushed a loss of power
 * leaves what the seed says, where crash.test.ts, on a real disk, takes the worst.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { before, test } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { createRandom } from "../../../src/random.ts";
import { MemoryDisk } from "../../../src/sim/world/disk.ts";
import { createPacks } from "../../../src/store/pack.ts";
import { openStore } from "../../../src/store/store.ts";
import { NOBODY } from "../../unit/store/disk.ts";
import { assertSound, blocksNeeded } from "./checks.ts";
import { type Sequence, sequenceOver } from "./sequence.ts";

/** Every so manieth point is looked at; `npm run crash-points` looks at all. */
const STRIDE = Number(process.env["CRASH_STRIDE"] ?? 11);

let points = 0;
/** What an undisturbed run announces, in order. */
const undisturbed: string[] = [];

async function openOn(disk: MemoryDisk): Promise<Sequence> {
  const { files, database } = disk;
  const { store } = await openStore({ files, database, clock: systemClock, source: () => NOBODY });
  const close = async (): Promise<void> => disk.kill();
  return sequenceOver({ store, packs: createPacks(store), close }, async () => {});
}

function diskOf(...seed: (string | number)[]): MemoryDisk {
  return new MemoryDisk({ clock: systemClock, random: createRandom("crash", ...seed) });
}

before(async () => {
  const disk = diskOf("undisturbed");
  disk.onOperation = () => points++;
  await (await openOn(disk)).goOn((cid) => undisturbed.push(cid.toString()));
  assert.ok(points > 150, `${points} points`);
});

/** Runs until `point` is reached, and a process ends there. Resolves to what it had announced. */
async function runUntil(disk: MemoryDisk, point: number, end: () => void): Promise<string[]> {
  const announced: string[] = [];
  const ended = Promise.withResolvers<void>();
  let reached = 0;
  disk.onOperation = () => {
    if (reached++ !== point) return;
    end();
    ended.resolve();
  };
  const running = openOn(disk).then((sequence) => sequence.goOn((cid) => announced.push(cid.toString())));
  // Whatever it did goes on no more; a failure before is one of the test.
  await Promise.race([ended.promise, running.then(() => assert.fail(`it ended before point ${point}`))]);
  disk.onOperation = undefined;
  return announced;
}

async function countOf(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of items) count++;
  return count;
}

for (const loss of ["kill", "power"] as const)
  test(`after a ${loss === "kill" ? "kill" : "loss of power"} at any operation a restart finds all that was announced, and nothing half`, async () => {
    for (let point = 0; point < points; point += STRIDE)
      try {
        const disk = diskOf(loss, point);
        const announced = await runUntil(disk, point, () => (loss === "kill" ? disk.kill() : disk.crash()));
        const crashed = await openOn(disk);
        await assertSound(crashed, announced, undisturbed);
        assert.equal(await countOf(disk.files.list("blocks")), await blocksNeeded(crashed));
      } catch (error) {
        throw new Error(`point ${point} of ${points}: ${String(error)}`, { cause: error });
      }
  });

test("a disk that is full from any operation on makes the peer say so, and has lost nothing", async () => {
  for (let point = 0; point < points; point += STRIDE)
    try {
      const disk = diskOf("full", point);
      const announced: string[] = [];
      let reached = 0;
      disk.onOperation = () => {
        if (reached++ === point) disk.limit(0);
      };
      const running = openOn(disk).then((sequence) => sequence.goOn((cid) => announced.push(cid.toString())));
      const failure = await running.then(
        () => undefined,
        (reason: unknown) => reason as Error,
      );
      // From the last write on nothing needs room.
      if (failure !== undefined) assert.match(String(failure), /^StorageError: .*the disk is full/);
      else assert.deepEqual(announced, undisturbed);
      disk.onOperation = undefined;
      disk.kill();
      disk.limit(Number.POSITIVE_INFINITY);
      await assertSound(await openOn(disk), announced, undisturbed);
    } catch (error) {
      throw new Error(`point ${point} of ${points}: ${String(error)}`, { cause: error });
    }
});
