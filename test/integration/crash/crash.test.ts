/**
 * Kills and losses of power at every write, flush and rename: what the disk holds then is the old or the new, never a
 * mix, holds all that was announced, and leads to the same results. See disk-hook.ts for what counts as a point.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CID } from "multiformats/cid";
import { Contribution } from "../../../src/objects/contribution.ts";
import { dagCborCid, kindOf } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { blockKey } from "../../../src/store/layout.ts";
import { middleOf, MODULES, openSequence, ROUNDS, type Sequence } from "./sequence.ts";

const HOOK = new URL("disk-hook.ts", import.meta.url).href;
const PROGRAM = fileURLToPath(new URL("sequence.ts", import.meta.url));
/** Every so manieth of all points is looked at, besides the edges; `npm run crash-points` looks at all. */
const STRIDE = Number(process.env["CRASH_STRIDE"] ?? 11);
/** The same where each point takes a process of its own. */
const PROCESS_STRIDE = 5 * STRIDE;

let directory: string;
let points: number;
/** What an undisturbed run announces, in order, and how often which point had been reached. */
let announcements: { cid: string; point: number }[];

/** Runs the sequence in a process of its own, under the hook. */
function run(dir: string, environment: Record<string, string> = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["--import", HOOK, PROGRAM, dir], {
    env: { ...process.env, ...environment },
    encoding: "utf8",
  });
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  const announced = lines
    .filter(([word]) => word === "announced")
    .map((line) => ({ cid: line[1]!, point: Number(line[2]) }));
  return { status, signal, announced, stderr, points: Number(lines.at(-1)?.[1]) };
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "pathweave-crash-"));
  const result = run(join(directory, "peer"), {
    DISK_FAULT: "record",
    DISK_FOLDER: join(directory, "peer"),
    DISK_RECORD: join(directory, "record"),
    DISK_STRIDE: String(STRIDE),
  });
  assert.equal(result.status, 0, result.stderr);
  ({ points, announced: announcements } = result);
  assert.ok(points > 150, `${points} points`);
});
after(() => rm(directory, { recursive: true, force: true }));

function unfinished(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".unfinished"),
  );
}

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
async function assertHolds({ lineages, packs }: Sequence, announced: string[]): Promise<void> {
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
      if (!announcements.slice(0, 2).some((first) => first.cid === text))
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
    const complete = MODULES.map((module) => lineages.get(module)!.completed({ round, path: 0, replica: 0 }));
    assert.equal(new Set(complete).size, 1, `round ${round}: ${complete}`);
    const last =
      round + 1 === ROUNDS ||
      !lineages.get(MODULES[0]!)!.completed({ round: round + 1, path: 0, replica: 0 });
    if (last) assert.equal(await stepBefore(round + 1), complete[0] ? 4 * (round + 1) : undefined);
  }
}

/** Opens what a crash left, checks it, finishes the run, and checks that it is the undisturbed one. */
async function check(dir: string, announced: string[]): Promise<void> {
  const invite = await readFile(join(dir, "invite"), "utf8").catch(() => "invite");
  assert.equal(invite.trim(), "invite", "the old or the new");
  const crashed = await openSequence(dir);
  try {
    assert.deepEqual(unfinished(dir), []);
    assert.ok(crashed.store.complete);
    await assertForgetsNothing(crashed);
    await assertUnmixed(crashed);
    await assertHolds(crashed, announced);
    await crashed.goOn(() => {});
    // As many sweeps as it takes for what nobody needs; nothing piles up, and nothing that is needed goes.
    for (let sweep = 0; sweep < 3; sweep++) await crashed.store.sweep();
    const retained = await Promise.all(
      (await crashed.store.pins()).map((pin) => crashed.store.retained(pin)),
    );
    const needed = new Set(retained.flat().map(blockKey));
    for (const module of MODULES)
      for await (const { cid } of crashed.store.records.entries(module)) needed.add(blockKey(cid));
    const onDisk = readdirSync(join(dir, "blocks"), { recursive: true, encoding: "utf8" });
    assert.equal(onDisk.filter((name) => name.endsWith(".data")).length, needed.size);
    await assertHolds(
      crashed,
      announcements.map(({ cid }) => cid),
    );
  } finally {
    await crashed.close();
  }
}

for (const loss of ["kill", "power"])
  test(`after a ${loss === "kill" ? "kill" : "loss of power"} at any point the disk holds the old or the new, and all that was announced`, async () => {
    const recorded = readdirSync(join(directory, "record"))
      .map(Number)
      .filter((point) => point > 0);
    assert.ok(recorded.length > points / STRIDE);
    for (const point of recorded.toSorted((a, b) => a - b)) {
      const dir = join(directory, "record", String(point), loss);
      const announced = announcements
        .filter((announcement) => announcement.point < point)
        .map(({ cid }) => cid);
      await check(dir, announced).catch((error: unknown) => {
        throw new Error(`point ${point} of ${points}`, { cause: error });
      });
    }
  });

/** Runs the sequence anew with a fault at every so manieth point, and hands over how it ended. */
async function eachPoint(
  fault: string,
  ended: (dir: string, result: ReturnType<typeof run>) => Promise<void>,
) {
  for (let point = 1 + (PROCESS_STRIDE >> 1); point <= points; point += PROCESS_STRIDE) {
    const dir = join(directory, `${fault}-${point}`);
    const result = run(dir, { DISK_FAULT: fault, DISK_POINT: String(point) });
    await ended(dir, result).catch((error: unknown) => {
      throw new Error(`point ${point} of ${points}`, { cause: error });
    });
  }
}

test("a process that is killed leaves what the copies show", () =>
  eachPoint("kill", async (dir, { signal, announced }) => {
    assert.equal(signal, "SIGKILL");
    await check(
      dir,
      announced.map(({ cid }) => cid),
    );
  }));

for (const [fault, words] of [
  ["ENOSPC", "the disk is full"],
  ["EROFS", "the disk is read-only"],
] as const)
  test(`when ${words}, from whatever point on, the peer says so and has lost nothing`, () =>
    eachPoint(fault, async (dir, { status, announced, stderr }) => {
      assert.equal(status, 1);
      const said = stderr.split("\n").filter((line) => line.startsWith("StorageError: "));
      assert.equal(said.length, 1, stderr);
      assert.match(said[0]!, new RegExp(`^StorageError: .*(${words}|${fault})`));
      await check(
        dir,
        announced.map(({ cid }) => cid),
      );
    }));
