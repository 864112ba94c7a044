/** The auditor over real data folders: it passes those of a swarm in order, and finds everything that is planted. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";
import type { LoggedEvent } from "../../../src/audit/events.ts";
import { auditDisks } from "../../../src/audit/audit.ts";
import type { AuditReport } from "../../../src/audit/types.ts";
import { InvalidObjectError, StorageError } from "../../../src/errors.ts";
import type { RunConfig } from "../../../src/objects/config.ts";
import { dagCborCid } from "../../../src/objects/object.ts";
import type { Version } from "../../../src/objects/version.ts";
import type { KnownContribution, KnownVersion } from "../../../src/outer/types.ts";
import { temporaryDirectory } from "../net/support.ts";
import {
  completeRun,
  createConfig,
  drop,
  duplicate,
  flip,
  identify,
  openWorld,
  type OpenWorld,
  type World,
} from "./world.ts";

const MODULE = "lower/1";
const CULPRIT = "12D3KooWTheOneWhoAnnouncedIt";

/** What a peer of the log said. */
function said(peer: string, event: { type: string; [key: string]: unknown }): LoggedEvent {
  return { at: 1, peer, event };
}

async function* log(...entries: LoggedEvent[]): AsyncGenerator<LoggedEvent> {
  yield* entries;
}

const root = await mkdtemp(join(tmpdir(), "pathweave-audit-"));
after(() => rm(root, { recursive: true, force: true }));

/** A finished run on the disk of one peer. */
async function finish(directory: string, outer: Partial<RunConfig["outer"]> = {}): Promise<World> {
  const world = await openWorld(directory, createConfig(outer));
  try {
    await completeRun(world);
  } finally {
    await world.close();
  }
  return world;
}

const finished = await finish(join(root, "finished"));

/** The disks of two peers with that run and with what `plant` adds to it. */
async function disksOf(
  t: TestContext,
  plant: (world: OpenWorld) => Promise<void> = () => Promise.resolve(),
): Promise<string[]> {
  const directory = await temporaryDirectory(t);
  const first = await duplicate(finished.directory, join(directory, "peer-1"));
  const world = await openWorld(first, finished.config, finished.records);
  try {
    await plant(world);
  } finally {
    await world.close();
  }
  return [first, await duplicate(first, join(directory, "peer-2"))];
}

/** Writes a version that was not folded in order, and remembers who announced it. */
async function plantVersion(world: OpenWorld, value: Version): Promise<KnownVersion> {
  const { block, version } = identify(value);
  await world.put(block);
  await world.heard(version.cid, CULPRIT);
  return version;
}

/** The versions so many generations before the heads. */
function earlierOf({ lineages }: OpenWorld, generations: number): Map<string, KnownVersion> {
  return new Map([...lineages].map(([name, lineage]) => [name, lineage.ancestry()[generations]!]));
}

/** The next version of the module as a false peer writes it. */
function next(
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
  parts: Partial<Version> = {},
): Version {
  return {
    module: parent.module,
    generation: parent.generation + 1,
    parent: parent.cid,
    contributions: contributions.map(({ cid }) => cid),
    state: parent.state,
    tokens: contributions.reduce((sum, { tokens }) => sum + tokens, parent.tokens),
    ...parts,
  };
}

function assertBad(report: AuditReport, version: KnownVersion, reason: RegExp): void {
  const { module, generation, cid, announcedBy, reason: found } = report.firstBadVersion!;
  assert.deepEqual(
    { module, generation, cid, announcedBy },
    {
      module: version.module,
      generation: version.generation,
      cid: version.cid.toString(),
      announcedBy: [CULPRIT],
    },
  );
  assert.match(found, reason);
  assert.equal(report.problems.length, 1, report.problems.join("\n"));
}

describe("a swarm in order passes", () => {
  const variants: [string, Partial<RunConfig["outer"]>][] = [
    ["by default", {}],
    ["with int8 outer gradients", { codec: "int8" }],
    ["with f32, clipped and not rescaled", { codec: "f32", clipNorm: 0.1, rescale: "none" }],
    ["with equal shares and no momentum", { reweigh: false, momentum: 0 }],
  ];
  for (const [name, outer] of variants)
    test(name, async (t) => {
      const directory = await temporaryDirectory(t);
      const first = await finish(join(directory, "peer-1"), outer);
      const second = await duplicate(first.directory, join(directory, "peer-2"));
      const report = await auditDisks({ directories: [first.directory, second] });
      const { problems, peers, headsAgree, generations, contributions, folded, refolded, unverifiable } =
        report;
      assert.deepEqual(problems, []);
      assert.deepEqual(peers, ["peer-1", "peer-2"]);
      assert.deepEqual(
        { headsAgree, generations, contributions, folded, refolded, unverifiable },
        { headsAgree: true, generations: 12, contributions: 24, folded: 24, refolded: 12, unverifiable: 0 },
      );
      const { rejected, lost, foldedTwice, outsideGenesis, takeoverMs } = report;
      assert.deepEqual(
        { rejected, lost, foldedTwice, outsideGenesis, takeoverMs },
        { rejected: 0, lost: 0, foldedTwice: 0, outsideGenesis: 0, takeoverMs: null },
      );
      assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
    });
});

test("the heads are those of the production fork choice", async (t) => {
  let heads: Record<string, string> = {};
  const directories = await disksOf(t, async (world) => {
    // Another peer closed the last generation over less, and so loses.
    const [, , , first] = world.lineages.get(MODULE)!.ancestry().toReversed();
    const lineage = world.lineages.get(MODULE)!;
    const parent = lineage.version(first!.parent!)!;
    const some = first!.contributions.slice(1).map((cid) => lineage.contribution(cid)!);
    lineage.addVersion(await plantVersion(world, next(parent, some)));
    heads = Object.fromEntries(
      [...world.lineages].map(([name, { head }]) => [
        name,
        head.call(world.lineages.get(name)).cid.toString(),
      ]),
    );
  });
  assert.deepEqual((await auditDisks({ directories })).heads, heads);
});

test("a contribution that is folded twice is found", async (t) => {
  let planted: KnownVersion;
  const directories = await disksOf(t, async (world) => {
    const lineage = world.lineages.get(MODULE)!;
    planted = await plantVersion(world, next(lineage.head(), [lineage.contributions()[0]!]));
  });
  const report = await auditDisks({ directories });
  assert.equal(report.foldedTwice, 1);
  assertBad(report, planted!, /in its lineage already/);
});

test("a second contribution of one peer to one round, folded too, is found", async (t) => {
  let planted: KnownVersion;
  const directories = await disksOf(t, async (world) => {
    const lineage = world.lineages.get(MODULE)!;
    const made = await world.contribute(2, 2, { announce: false });
    planted = await plantVersion(
      world,
      next(
        lineage.head(),
        made.filter(({ module }) => module === MODULE),
      ),
    );
  });
  const report = await auditDisks({ directories });
  assert.equal(report.foldedTwice, 1);
  assertBad(report, planted!, /in its lineage already/);
});

test("a contribution that everybody dropped is found, late ones too", async (t) => {
  const directories = await disksOf(t, async (world) => {
    await world.contribute(2, 0, { by: "the ignored", announce: false });
    await world.contribute(1, 1, { by: "the late", bases: earlierOf(world, 2), announce: false });
  });
  const report = await auditDisks({ directories });
  assert.equal(report.lost, 4);
  assert.equal(report.problems.filter((problem) => problem.includes("nobody folded it")).length, 4);
});

/** Nobody may fold it, as anybody can see. */
const HUGE = new Float32Array(300).fill(2e4);
const TOO_MUCH = "It changes a parameter by 20000; more than 10000 is no training.";

function rejectedBy(peer: string, contributions: readonly KnownContribution[], reason: string) {
  return contributions.map(({ cid }) => said(peer, { type: "rejected", cid: cid.toString(), reason }));
}

test("what is too old, no training, or the second of its peer is rejected, not lost, whatever the peers say", async (t) => {
  let refused: KnownContribution[] = [];
  let stale: KnownContribution[] = [];
  const directories = await disksOf(t, async (world) => {
    const bases = earlierOf(world, 3);
    stale = await world.contribute(1, 1, { by: "the stale", bases, announce: false, delta: HUGE });
    await world.contribute(2, 2, { announce: false });
    refused = await world.contribute(2, 0, { by: "the refused", announce: false, delta: HUGE });
  });
  const rejections = {
    "over 2 generations old": 2,
    "its peer already contributed this round": 2,
    "it changes a parameter by more than 10000": 2,
  };
  for (const events of [[], rejectedBy("peer-1", [...refused, ...stale], TOO_MUCH)]) {
    const report = await auditDisks({ directories, events: log(...events) });
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.rejections, rejections);
  }
});

test("a rejection for which the objects give no reason, or another one, is found", async (t) => {
  let sound: KnownContribution[] = [];
  let refused: KnownContribution[] = [];
  let folded: KnownContribution[] = [];
  const directories = await disksOf(t, async (world) => {
    sound = await world.contribute(2, 0, { by: "the ignored", announce: false });
    refused = await world.contribute(2, 1, { by: "the refused", announce: false, delta: HUGE });
    folded = world.lineages.get(MODULE)!.contributions().slice(0, 1);
  });
  const problems = async (events: LoggedEvent[]): Promise<string[]> =>
    (await auditDisks({ directories, events: log(...events) })).problems.filter((line) =>
      line.includes("a peer rejected it"),
    );
  assert.deepEqual(await problems([]), []);
  for (const reason of [
    "it is no training",
    "It raises the loss on held-out text of path 0 from 1.0 to 2.0, by more than 0.1.",
  ]) {
    const invented = await problems(rejectedBy("peer-1", sound, reason));
    assert.equal(invented.length, 2);
    for (const line of invented) assert.match(line, /and its objects give no such reason/);
  }
  const other = await problems(rejectedBy("peer-1", refused, "its peer already contributed this round"));
  assert.equal(other.length, 2);
  for (const line of other) assert.match(line, /where its objects say: it changes a parameter by more than/);
  const [wrong] = await problems(rejectedBy("peer-2", folded, TOO_MUCH));
  assert.match(wrong!, new RegExp(`Contribution ${folded[0]!.cid}: .*no such reason`));
});

test("before the run is over what can still be folded waits", async (t) => {
  const directory = join(await temporaryDirectory(t), "peer-1");
  const world = await openWorld(directory, createConfig());
  await world.contribute(0, 0);
  await world.fold("lower/0");
  await world.contribute(0, 1);
  await world.close();
  const report = await auditDisks({ directories: [directory] });
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.folded, report.waiting], [1, 3]);
});

test("an outer gradient that died with its disk is told from one that was dropped", async (t) => {
  let made: KnownContribution[] = [];
  const directories = await disksOf(t, async (world) => {
    made = await world.contribute(2, 0, { by: "the wiped", announce: false });
  });
  for (const directory of directories) for (const { delta } of made) await drop(directory, delta);
  const dropped = await auditDisks({ directories });
  assert.deepEqual([dropped.lost, dropped.diedWithDisk], [2, 0]);
  const died = await auditDisks({
    directories,
    events: log(said("peer-3", { type: "started", peer: made[0]!.signer }), {
      at: 5,
      fault: { kind: "wipe", peers: ["peer-3"] },
    }),
  });
  assert.deepEqual(died.problems, []);
  assert.deepEqual([died.lost, died.diedWithDisk], [0, 2]);
});

test("a head that is not from the genesis of the manifest is found", async (t) => {
  let planted: KnownVersion;
  const directories = await disksOf(t, async (world) => {
    const head = world.lineages.get(MODULE)!.head();
    const { cid: _, ...version } = head;
    const origin = { ...version, parent: null, generation: 0, contributions: [], tokens: 0 };
    planted = await plantVersion(world, origin);
    const made = await world.contribute(2, 3, { by: "the founder", announce: false });
    const child = next(
      planted,
      made.filter(({ module }) => module === MODULE),
      { tokens: 1e9 },
    );
    await world.put(identify(child).block);
  });
  const report = await auditDisks({ directories });
  assert.equal(report.outsideGenesis, 2);
  assert.equal(report.firstBadVersion?.cid, planted!.cid.toString());
  assert.match(report.firstBadVersion.reason, /genesis of the manifest/);
});

test("a generation that is skipped is found", async (t) => {
  let planted: KnownVersion;
  const directories = await disksOf(t, async (world) => {
    const head = world.lineages.get(MODULE)!.head();
    const made = await world.contribute(2, 2, { by: "the other", announce: false });
    const own = made.filter(({ module }) => module === MODULE);
    planted = await plantVersion(world, next(head, own, { generation: head.generation + 2 }));
  });
  const report = await auditDisks({ directories });
  assert.equal(report.outsideGenesis, 1);
  assert.equal(report.firstBadVersion?.cid, planted!.cid.toString());
});

for (const name of ["parameters", "momentum"])
  test(`a fold whose ${name} are wrong in one number is found, with who announced it`, async (t) => {
    let planted: KnownVersion;
    const directories = await disksOf(t, async (world) => {
      const lineage = world.lineages.get(MODULE)!;
      const own = await world.contribute(2, 2, { by: "the other" });
      const honest = await world.fold(MODULE);
      planted = await plantVersion(
        world,
        next(
          lineage.version(honest.parent!)!,
          own.filter(({ module }) => module === MODULE),
          { state: { ...honest.state, [name]: await world.write(new Float32Array(300).fill(0.5)) } },
        ),
      );
      for (const module of world.lineages.keys())
        if (module !== MODULE && world.lineages.get(module)!.pending().length > 0) await world.fold(module);
    });
    const report = await auditDisks({ directories });
    assertBad(report, planted!, new RegExp(`gives the ${name}`));
    assert.notEqual(report.heads[MODULE], planted!.cid.toString());
  });

test("a version that names its contributions in order of arrival is found", async (t) => {
  let planted: KnownVersion;
  const directories = await disksOf(t, async (world) => {
    const lineage = world.lineages.get(MODULE)!;
    const parent = lineage.version(lineage.head().parent!)!;
    const folded = lineage.head().contributions.map((cid) => lineage.contribution(cid)!);
    planted = await plantVersion(world, next(parent, folded.toReversed()));
  });
  assertBad(await auditDisks({ directories }), planted!, /not in fold order/);
});

test("what peers logged as refused is no problem", async (t) => {
  let planted: KnownVersion;
  const directories = await disksOf(t, async (world) => {
    const lineage = world.lineages.get(MODULE)!;
    planted = await plantVersion(world, next(lineage.head(), [lineage.contributions()[0]!]));
  });
  const events = log(said("peer-2", { type: "rejected", cid: planted!.cid.toString(), reason: "no" }));
  const report = await auditDisks({ directories, events });
  assert.deepEqual(report.problems, []);
});

test("a version that follows and that a peer refused is named, and stays the head", async (t) => {
  let head: KnownVersion;
  const directories = await disksOf(t, async ({ lineages }) => {
    head = lineages.get(MODULE)!.head();
  });
  const cid = head!.cid.toString();
  const events = log(said("peer-2", { type: "rejected", cid, reason: "no" }));
  const report = await auditDisks({ directories, events });
  assert.equal(report.heads[MODULE], cid);
  assert.deepEqual(report.problems, [
    `lower/1 generation 3 (${cid}): a peer refused it, saying "no", and it follows.`,
  ]);
});

test("disks with different heads disagree, unless a fault held one of them to the end", async (t) => {
  let head: KnownVersion;
  const directories = await disksOf(t, async ({ lineages }) => {
    head = lineages.get(MODULE)!.head();
  });
  await drop(directories[1]!, head!.cid);
  const report = await auditDisks({ directories });
  assert.equal(report.headsAgree, false);
  assert.equal(report.peerHeads["peer-2"]![MODULE], head!.parent!.toString());
  assert.match(report.problems.join("\n"), /^peer-2 has generation 2 of lower\/1/);
  const fault = { kind: "kill", peers: ["peer-2"] };
  assert.equal((await auditDisks({ directories, events: log({ at: 1, fault }) })).headsAgree, true);
});

test("a peer whose last head is outside of the lineage that won is named", async (t) => {
  const directories = await disksOf(t);
  const { heads } = await auditDisks({ directories });
  const says = (cid: string): LoggedEvent => said("peer-2", { type: "head", module: MODULE, cid });
  assert.deepEqual((await auditDisks({ directories, events: log(says(heads[MODULE]!)) })).problems, []);
  const { problems } = await auditDisks({ directories, events: log(says(heads["lower/0"]!)) });
  assert.match(problems.join("\n"), /^peer-2 said last/);
});

test("a flipped bit in any kind of block is found", async (t) => {
  let head: KnownVersion;
  const directories = await disksOf(t, async ({ lineages }) => {
    head = lineages.get(MODULE)!.head();
  });
  for (const cid of [head!.state["parameters"]!, head!.cid, head!.contributions[0]!]) {
    await flip(directories[0]!, cid);
    const report = await auditDisks({ directories });
    assert.equal(report.corruptBlocks, 1);
    assert.match(report.problems[0]!, /is corrupt/);
    assert.equal(report.refolded, 12, "the other disk still has the block");
    await flip(directories[0]!, cid);
  }
  assert.deepEqual((await auditDisks({ directories })).problems, []);
});

test("a contribution with a forged signature is found, and never counts", async (t) => {
  const directories = await disksOf(t, async ({ lineages, store }) => {
    const [{ cid }] = lineages.get(MODULE)!.contributions() as [KnownContribution];
    const bytes = (await store.local(cid))!.slice();
    bytes[bytes.length - 1]! ^= 1;
    await store.put([{ cid: dagCborCid(bytes), bytes }]);
  });
  const { forged, contributions, problems } = await auditDisks({ directories });
  assert.deepEqual([forged, contributions], [2, 24]);
  assert.match(problems.join("\n"), /^peer-1 keeps 1 contributions that are not signed/);
});

test("only the newest generations are folded again where that is asked for", async (t) => {
  const directories = await disksOf(t);
  const seen: string[] = [];
  const report = await auditDisks({
    directories,
    newest: 1,
    onVersion: ({ module, generation }) => seen.push(`${module} ${generation}`),
  });
  assert.equal(report.refolded, 4);
  assert.deepEqual(seen.toSorted(), ["lower/0 3", "lower/1 3", "upper/0 3", "upper/1 3"]);
});

test("versions whose tensors were let go of are followed through folds, or counted as not comparable", async (t) => {
  const versions: KnownVersion[] = [];
  const directories = await disksOf(t, async ({ lineages }) => {
    versions.push(...lineages.get(MODULE)!.ancestry().toReversed());
  });
  const release = async (version: KnownVersion): Promise<void> => {
    for (const directory of directories) await drop(directory, version.state["parameters"]!);
  };
  await release(versions[2]!);
  assert.equal((await auditDisks({ directories })).refolded, 12);
  await release(versions[0]!);
  const report = await auditDisks({ directories });
  assert.deepEqual([report.refolded, report.unverifiable, report.problems], [11, 1, []]);
});

test("folders of no peer, and of two runs, are refused with the reason", async (t) => {
  const directory = await temporaryDirectory(t);
  await assert.rejects(auditDisks({ directories: [directory] }), StorageError);
  for (const [name, maxStaleness] of [
    ["one", 1],
    ["two", 2],
  ] as const)
    await (await openWorld(join(directory, name), createConfig({ maxStaleness }))).close();
  await assert.rejects(
    auditDisks({ directories: [join(directory, "one"), join(directory, "two")] }),
    InvalidObjectError,
  );
});
