/**
 * The contract of docs/design.md over two seeds of faults (`npm run chaos` has twenty, and more rounds): real processes
 * that are killed, paused, parted, slowed, stopped and wiped while they train. An auditor that shares nothing with the
 * peer but the formats reads their disks.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { describeRejections, judgeSeed } from "../../node/chaos/campaign.ts";
import { MEAN_FAULT_MS } from "../../node/chaos/run.ts";
import { FAULTS as FAULT_KINDS, schedule } from "../../node/chaos/schedule.ts";
import { patient } from "../waits.ts";
import { createChaosFolder } from "./chaos-run.ts";

/** One that once lost work, and one that has the kinds of faults that it lacks. */
const SEEDS = [2, 3];
/** As many as paths, and rounds of a second, so that a seed takes less than half a minute on two cores. */
const PEERS = 4;
const INNER_STEPS = 30;
const FAULTS = 6;
/** Many more an hour than a swarm sees in a week, so that each run of half a minute sees some. */
const RATE = 3000;

let directory: string;
let made: Awaited<ReturnType<typeof createChaosFolder>>;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-chaos-"));
  made = await createChaosFolder(directory, { innerSteps: INNER_STEPS });
});
after(() => rm(directory, { recursive: true, force: true }));

test("the seeds have every kind of fault between them", () => {
  const peers = Array.from({ length: PEERS }, (_, index) => `peer-${index + 1}`);
  const kinds = SEEDS.flatMap((seed) =>
    [...schedule({ seed, rate: RATE, peers, meanMs: MEAN_FAULT_MS, count: FAULTS })].map(({ kind }) => kind),
  );
  assert.deepEqual(new Set(kinds), new Set(FAULT_KINDS));
});

for (const seed of SEEDS)
  test(`nothing is lost, seed ${seed}`, async (context) => {
    const { broken, audit, ...report } = await judgeSeed({
      ...made,
      peers: PEERS,
      seed,
      rate: RATE,
      faults: FAULTS,
      logLevel: "error",
      signal: patient,
    });
    context.diagnostic(
      `${report.faults} faults in ${report.seconds} s; ${audit.folded} of ${audit.contributions} contributions folded in ` +
        `${audit.generations} generations, ${audit.rejected} rejected${describeRejections(audit.rejections)}, ${audit.lost} lost; ` +
        `agreed after ${report.agreementMs} ms of ${report.agreementLimitMs}, ` +
        `clocks took ${report.clocks.usual.toFixed(2)} times as long as they should`,
    );
    assert.ok(report.faults > 0, "there were faults");
    assert.ok(audit.folded > 0, "there was work");
    assert.deepEqual(broken, []);
  });
