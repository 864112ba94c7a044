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
import { assertSound, blocksNeeded } from "./checks.ts";
import { openSequence } from "./sequence.ts";

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

/** Opens what a crash left, checks it, finishes the run, and checks that it is the undisturbed one. */
async function check(dir: string, announced: string[]): Promise<void> {
  const invite = await readFile(join(dir, "invite"), "utf8").catch(() => "invite");
  assert.equal(invite.trim(), "invite", "the old or the new");
  const crashed = await openSequence(dir);
  try {
    assert.deepEqual(unfinished(dir), []);
    await assertSound(
      crashed,
      announced,
      announcements.map(({ cid }) => cid),
    );
    const onDisk = readdirSync(join(dir, "blocks"), { recursive: true, encoding: "utf8" });
    const needed = await blocksNeeded(crashed);
    assert.equal(onDisk.filter((name) => name.endsWith(".data")).length, needed);
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
