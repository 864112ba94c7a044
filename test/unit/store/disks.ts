/** A disk of every kind, for tests that hold for all of them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { createRandom } from "../../../src/random.ts";
import { MemoryDisk } from "../../../src/sim/world/disk.ts";
import { openDirectory } from "../../../src/store/directory.ts";
import type { Database, Files } from "../../../src/store/ports.ts";

/** Opens what one process after the other uses. */
export interface Opened {
  files: Files;
  database: Database;
  close(): Promise<void>;
}

type Open = () => Promise<Opened>;

async function onRealDisk(t: TestContext): Promise<Open> {
  const directory = await mkdtemp(join(tmpdir(), "pathweave-disk-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return () => openDirectory(directory);
}

async function inMemory(): Promise<Open> {
  const disk = new MemoryDisk({ clock: systemClock, random: createRandom("disks") });
  return async () => ({ files: disk.files, database: disk.database, close: async () => disk.kill() });
}

/** Defines a test on a real disk and the same on one in memory. */
export function testOnDisks(name: string, scenario: (open: Open, t: TestContext) => Promise<void>): void {
  test(`${name} (files and LevelDB)`, async (t) => scenario(await onRealDisk(t), t));
  test(`${name} (in memory)`, async (t) => scenario(await inMemory(), t));
}
