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
  run: Pick<ChaosRun, "agreementMs" | "agreementLimitMs" | "settleStretch">,
  audit: AuditReport,
  { config }: Manifest,
): string[] {
  const agreement = run.agreementLimitMs;
  const takeover = Math.round(TAKEOVER_LEASES * 1000 * config.swarm.leaseSeconds * run.settleStretch);
  const rules: [boolean, string][] = [
    [audit.headsAgree, "a: the heads on the disks differ"],
    [
      run.agreementMs !== undefined && run.agreementMs <= agreement,
      `a: agreement ${run.agreementMs} ms after the last fault, allowed ${agreement} ms`,
    ],
    [audit.lost === 0, `b: ${audit.lost} contributions are neither folded nor rejected`],
    [audit.foldedTwice === 0, `b: ${audit.foldedTwice} contributions are folded twice`],
    [audit.outsideGenesis === 0, `c: ${audit.outsideGenesis} heads do not descend from genesis`],
    ...audit.takeovers.map(({ slot, from, by, since, milliseconds }): [boolean, string] => [
      milliseconds <= takeover,
      `d: slot ${slot} of ${from}, struck at ${since} ms, was taken over by ${by} after ${milliseconds} ms, allowed ${takeover} ms`,
    ]),
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
  /** Gone with the disk of their signer before anybody else had their tensors, and trained again. */
  diedWithDisk: number;
  lost: number;
  foldedTwice: number;
  headsAgree: boolean;
  takeoverMs: { median: number; max: number } | null;
  /** Longest time from a seed's last fault until all peers agreed. */
  agreementMs: number;
  /** Null when it was not measured. */
  updateRateRatio: number | null;
  /** Seeds of which the contract does not hold. */
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
