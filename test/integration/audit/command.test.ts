/** `pathweave audit` as a user runs it on folders: what it prints, and its exit code. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { AuditReport } from "../../../src/audit/types.ts";
import { completeRun, createConfig, duplicate, identify, openWorld } from "./world.ts";

const PATHWEAVE = fileURLToPath(new URL("../../../node/pathweave.ts", import.meta.url));
const CULPRIT = "12D3KooWTheOneWhoAnnouncedIt";

const root = await mkdtemp(join(tmpdir(), "pathweave-audit-"));
after(() => rm(root, { recursive: true, force: true }));
const sound = join(root, "peer-1");
const world = await openWorld(sound, createConfig());
await completeRun(world);
const lineage = world.lineages.get("upper/0")!;
const { cid: _, ...head } = lineage.head();
const { block, version } = identify({
  ...head,
  state: { ...head.state, parameters: await world.write(new Float32Array(300)) },
});
await world.close();

// Another peer has a version, too, that somebody made up.
const fooled = await duplicate(sound, join(root, "peer-2"));
const second = await openWorld(fooled, createConfig());
await second.put(block);
await second.heard(version.cid, CULPRIT);
await second.close();

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

function audit(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [PATHWEAVE, "audit", ...args], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

test("a folder in order is summed up, and leaves with 0", async () => {
  const { code, stdout } = await audit("--data", sound);
  assert.equal(code, 0);
  assert.match(stdout, /: 12 outer updates of 5 modules\n12 versions folded again, 0 not/);
  assert.match(stdout, /24 contributions: 24 folded, 0 rejected, 0 waiting, 0 died with their disk, 0 lost/);
  assert.match(stdout, /Every version that audit folded again follows/);
});

test("the first version that does not follow is named, with who announced it, and leaves with 1", async () => {
  const { code, stdout, stderr } = await audit(sound, fooled, "--json");
  assert.equal(code, 1);
  const { firstBadVersion, heads } = JSON.parse(stdout) as AuditReport;
  const cid = version.cid.toString();
  assert.deepEqual(
    { ...firstBadVersion, reason: "" },
    { module: "upper/0", generation: 3, cid, reason: "", announcedBy: [CULPRIT] },
  );
  assert.equal(heads["upper/0"], lineage.head().cid.toString());
  assert.match(
    stderr,
    new RegExp(`pathweave: upper/0 generation 3 .${cid}. does not follow: .*; announced by ${CULPRIT}`),
  );
  assert.doesNotMatch(stderr, /bug/);
});

test("a stretch of the lineage may be asked for, and a log given", async () => {
  const events = join(root, "events.ndjson");
  const event = { type: "rejected", module: "upper/0", cid: version.cid.toString(), reason: "no" };
  await writeFile(events, `${JSON.stringify({ at: 5, peer: "peer-1", event })}\n`);
  const { code, stdout } = await audit("--from", "head~2", "--events", events, fooled);
  assert.equal(code, 0, stdout);
  // Two of each module, and the one that was refused.
  assert.match(stdout, /\n9 versions folded again/);
});

for (const [name, expected, args, message] of [
  ["another stretch", 2, ["--from", "head-2", sound], /--from is "head-2"; give genesis, or head~N/],
  ["a folder of no peer", 1, [root], /is not the data folder of a peer/],
  ["a log that is not there", 1, ["--events", join(root, "none"), sound], /Cannot read the event log/],
  ["a log that is none", 1, ["--events", PATHWEAVE, sound], /pathweave\.ts:1 is not a line of an event log/],
  ["an invite among folders", 2, ["pathweave1abc", sound], /Give an invite alone/],
] as [string, number, string[], RegExp][])
  test(`${name} is refused in one line`, async () => {
    const { code, stderr } = await audit(...args);
    assert.equal(code, expected);
    assert.match(stderr, message);
    assert.equal(stderr.split("\n").filter((line) => line.startsWith("pathweave:")).length, 1);
  });
