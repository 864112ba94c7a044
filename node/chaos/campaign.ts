/** Many seeds of chaos in a row, each judged by the auditor from disks and event log, and their sum. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CID } from "multiformats/cid";
import { auditDisks } from "../../src/audit/audit.ts";
import { readEventLog } from "../../src/audit/events.ts";
import { summarise as medianAndMaximum } from "../../src/audit/takeovers.ts";
import type { AuditReport } from "../../src/audit/types.ts";
import type { Manifest } from "../../src/objects/manifest.ts";
import { type ChaosRun, chaosRun, type ChaosRunInit } from "./run.ts";

export interface SeedReport extends Omit<ChaosRun, "directories" | "events"> {
  audit: AuditReport;
  /** What does not hold of the contract; empty when all does. */
  broken: string[];
}

export interface SeedInit extends Omit<ChaosRunInit, "directory"> {
  run: CID;
  /** Keep peers' folders and event log below this folder, also when nothing is wrong. */
  keep?: string;
}

/** Lease times, by the clocks of the peers, in which an expired lease is taken over (contract d). */
const TAKEOVER_LEASES = 2;

/** Runs one seed and judges it. The folder stays when something is wrong, and the report says where. */
export async function judgeSeed(init: SeedInit): Promise<SeedReport> {
  const directory =
    init.keep === undefined
      ? await mkdtemp(path.join(tmpdir(), `pathweave-chaos-${init.seed}-`))
      : path.join(init.keep, `seed-${init.seed}`);
  const { directories, events, ...run } = await chaosRun({ ...init, directory });
  const audit = await auditDisks({ directories, events: readEventLog(events) });
  const broken = breaches(run, audit, init.manifest);
  if (broken.length > 0) broken.push(`disks and event log: ${directory}`);
  else if (init.keep === undefined) await rm(directory, { recursive: true });
  return { ...run, audit, broken };
}

function breaches(
  { agreementMs, agreementLimitMs, clocks }: Pick<ChaosRun, "agreementMs" | "agreementLimitMs" | "clocks">,
  audit: AuditReport,
  { config }: Manifest,
): string[] {
  const agreement = Math.round(agreementLimitMs * clocks.usual);
  const leaseMs = 1000 * config.swarm.leaseSeconds;
  const rules: [boolean, string][] = [
    [audit.headsAgree, "a: the heads on the disks differ"],
    [agreementMs !== undefined, "a: at the end the peers name different heads"],
    [
      agreementMs === undefined || agreementMs <= agreement,
      `a: agreement for good ${agreementMs} ms after the last news, allowed ${agreement} ms`,
    ],
    [audit.lost === 0, `b: ${audit.lost} contributions are neither folded nor rejected`],
    [audit.foldedTwice === 0, `b: ${audit.foldedTwice} contributions are folded twice`],
    [audit.outsideGenesis === 0, `c: ${audit.outsideGenesis} heads do not descend from genesis`],
    ...audit.takeovers.map(({ slot, from, by, since, milliseconds }): [boolean, string] => {
      // Up to the claim, and to the tick that may start it.
      const stretch = clocks.between(since, since + milliseconds + leaseMs);
      const allowed = Math.round(TAKEOVER_LEASES * leaseMs * stretch);
      return [
        milliseconds <= allowed,
        `d: slot ${slot} of ${from}, struck at ${since} ms, was taken over by ${by} after ${milliseconds} ms, allowed ${allowed} ms`,
      ];
    }),
    [audit.problems.length === 0, audit.problems.join("; ")],
  ];
  return rules.filter(([holds]) => !holds).map(([, words]) => words);
}

/** What `npm run chaos` ends with. */
export interface CampaignReport {
  seeds: number;
  faults: number;
  /** Outer updates in the winning lineages. */
  generations: number;
  contributions: number;
  folded: number;
  rejected: number;
  /** Of these, by reason. */
  rejections: Record<string, number>;
  /** Gone with the disk of their signer before anybody else had their tensors, and trained again. */
  diedWithDisk: number;
  lost: number;
  foldedTwice: number;
  headsAgree: boolean;
  takeoverMs: { median: number; max: number } | null;
  /** Longest time from a seed's last news until all peers agreed for good. */
  agreementMs: number;
  /** Null when it was not measured. */
  updateRateRatio: number | null;
  /** Seeds for which the contract does not hold. */
  broken: { seed: number; broken: string[] }[];
}

export function summarise(reports: readonly SeedReport[], updateRateRatio: number | null): CampaignReport {
  const sum = (of: (report: SeedReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  return {
    seeds: reports.length,
    faults: sum(({ faults }) => faults),
    generations: sum(({ audit }) => audit.generations),
    contributions: sum(({ audit }) => audit.contributions),
    folded: sum(({ audit }) => audit.folded),
    rejected: sum(({ audit }) => audit.rejected),
    rejections: added(reports.map(({ audit }) => audit.rejections)),
    diedWithDisk: sum(({ audit }) => audit.diedWithDisk),
    lost: sum(({ audit }) => audit.lost),
    foldedTwice: sum(({ audit }) => audit.foldedTwice),
    headsAgree: reports.every(({ audit }) => audit.headsAgree),
    takeoverMs: medianAndMaximum(
      reports.flatMap(({ audit }) => audit.takeovers.map(({ milliseconds }) => milliseconds)),
    ),
    agreementMs: Math.max(...reports.map((report) => report.agreementMs ?? Number.POSITIVE_INFINITY)),
    updateRateRatio,
    broken: reports.flatMap(({ seed, broken }) => (broken.length === 0 ? [] : [{ seed, broken }])),
  };
}

/** Counts of several reports, by reason. */
function added(counts: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const [reason, count] of counts.flatMap((of) => Object.entries(of)))
    sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}

/** `2 over 2 generations old, 1 …`, or nothing. */
export function describeRejections(rejections: Record<string, number>): string {
  const parts = Object.entries(rejections).map(([reason, count]) => `${count} ${reason}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
