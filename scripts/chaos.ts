/**
 * Whole swarms under faults, seed by seed, and the contract of docs/design.md checked on what they leave behind.
 *
 *     npm run chaos -- --seeds 1-20 [--peers 5] [--rate 3000] [--faults 20] [--rounds 12] [--minutes 12]
 *         [--keep folder] [--namespaces] [--json]
 *
 * Each seed trains a small run to its end with real processes. The last part measures the rate of outer updates of
 * eight peers in turns, without faults and at 60 faults an hour; `--minutes 0` leaves it out. Needs nothing but this
 * project, and `--namespaces`, which replaces the proxy by a real network, what `interop/namespaces.ts` says. Exit
 * code 1 when anything of the contract does not hold.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { describeRejections, judgeSeed, type SeedReport, summarise } from "../node/chaos/campaign.ts";
import { UsageError } from "../src/errors.ts";
import type { ChaosNetwork } from "../node/chaos/network.ts";
import { measureRate } from "../node/chaos/rate.ts";
import { createChaosFolder } from "../test/e2e/chaos-run.ts";
import { createNamespaces } from "./interop/namespaces.ts";

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "1-20" },
    peers: { type: "string", default: "5" },
    rate: { type: "string", default: "3000" },
    faults: { type: "string", default: "20" },
    rounds: { type: "string", default: "12" },
    minutes: { type: "string", default: "12" },
    keep: { type: "string" },
    namespaces: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
/** Rounds of some seconds, so that many happen between faults. */
const INNER_STEPS = 20;
/** People at eight machines, and how often one of these fails (contract e). */
const RATE_STAGE = { peers: 8, rate: 60, pairs: 2 };

const say = (line: string): void => void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort(new Error("stopped by Ctrl-C")));

async function network(peers: number): Promise<{ network?: ChaosNetwork }> {
  if (!options.namespaces) return {};
  const names = Array.from({ length: peers }, (_, index) => `peer-${index + 1}`);
  return { network: await createNamespaces(["bootstrap", ...names]) };
}

const { signal } = interrupt;
const scratch = await mkdtemp(path.join(tmpdir(), "pathweave-chaos-"));
try {
  if (!/^\d+(-\d+)?$/.test(options.seeds))
    throw new UsageError(`--seeds: cannot read "${options.seeds}". Write it as in 1-20.`);
  const [first, last = first] = options.seeds.split("-").map(Number) as [number, number?];
  const reports: SeedReport[] = [];
  const prepared = await createChaosFolder(path.join(scratch, "run"), {
    rounds: Number(options.rounds),
    innerSteps: INNER_STEPS,
  });
  for (let seed = first; seed <= last; seed++) {
    const report = await judgeSeed({
      ...prepared,
      peers: Number(options.peers),
      seed,
      rate: Number(options.rate),
      faults: Number(options.faults),
      ...(options.keep === undefined ? {} : { keep: options.keep }),
      ...(await network(Number(options.peers))),
      logLevel: "error",
      signal,
    });
    reports.push(report);
    const { audit } = report;
    say(
      `seed ${seed}: ${report.faults} faults in ${report.seconds} s; ${audit.folded} of ${audit.contributions} contributions ` +
        `folded in ${audit.generations} generations, ${audit.rejected} rejected${describeRejections(audit.rejections)}, ` +
        `${audit.diedWithDisk} died with their disk, ${audit.lost} lost; ` +
        `agreed after ${report.agreementMs ?? "?"} ms${report.broken.map((line) => `\n  BROKEN ${line}`).join("")}`,
    );
  }
  let ratio: number | null = null;
  const minutes = Number(options.minutes);
  if (minutes > 0) {
    say(`rate of outer updates: ${minutes} minutes, half of them with ${RATE_STAGE.rate} faults an hour`);
    const directory = path.join(scratch, "rate");
    await mkdir(directory);
    const rate = await measureRate({
      ...(await createChaosFolder(path.join(scratch, "long"), { rounds: 1000, innerSteps: 120 })),
      ...RATE_STAGE,
      directory,
      seed: first,
      phaseMs: (60_000 * minutes) / (2 * RATE_STAGE.pairs),
      ...(await network(RATE_STAGE.peers)),
      logLevel: "error",
      signal,
    });
    ratio = rate.updateRateRatio;
    say(
      `${rate.quietPerMinute.toFixed(1)} outer updates a minute without faults, ${rate.faultyPerMinute.toFixed(1)} with ${rate.faults}`,
    );
  }
  const report = summarise(reports, ratio);
  process.stdout.write(`${JSON.stringify(report, undefined, options.json ? undefined : 2)}\n`);
  if (report.broken.length > 0) process.exitCode = 1;
} finally {
  await rm(scratch, { recursive: true, force: true });
}
