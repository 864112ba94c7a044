/**
 * The contract of docs/design.md over four seeds of faults, those that found most (`npm run chaos` has twenty): real processes that are killed, paused, parted, slowed
 * and wiped while they train. An auditor that shares nothing with the peer but the formats reads their disks.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { judgeSeed } from "../../node/chaos/campaign.ts";
import { patient } from "../waits.ts";
import { createChaosFolder } from "./chaos-run.ts";

const SEEDS = [2, 7, 11, 16];
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
        `${audit.generations} generations, ${audit.rejected} rejected, ${audit.lost} lost; agreed after ${report.agreementMs} ms of ${report.agreementLimitMs}, ` +
        `clocks took ${report.settleStretch.toFixed(2)} times as long as they should`,
    );
    assert.ok(report.faults > 0, "there were faults");
    assert.ok(audit.folded > 0, "there was work");
    assert.deepEqual(broken, []);
  });
