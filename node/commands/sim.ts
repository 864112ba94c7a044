import { setImmediate } from "node:timers/promises";
import type { CommandModule } from "yargs";
import { UsageError } from "../../src/errors.ts";
import { addChurn, addFaults } from "../../src/sim/large/faults.ts";
import { type Report, reportOf } from "../../src/sim/large/report.ts";
import { gridOf, simulatedRun } from "../../src/sim/large/run.ts";
import { Simulation } from "../../src/sim/large/simulation.ts";
import {
  createProgress,
  formatBar,
  formatBytes,
  formatDuration,
  formatJson,
  formatTable,
} from "../output.ts";
import { onInterrupt } from "../shutdown.ts";

interface SimFlags {
  peers: number;
  paths: number;
  churn: number;
  faults: number;
  hours: number;
  seed: number;
  "round-minutes": number;
  loss: number;
  mbps: number;
  "module-megabytes": number;
  sites: number | undefined;
  json: boolean;
}

/** Above this many peers, several share what they hear. */
const SEPARATE_PEERS = 64;
const SHARED_SITES = 16;
const SIM_STOPS = "Stopping: reporting what was simulated so far. Ctrl-C again stops at once.";
const HOUR_MS = 3_600_000;
const SLICE_MS = 10_000;

export const command: CommandModule<object, SimFlags> = {
  describe: "Simulate a swarm of any size: its real decisions, under a virtual clock and network",
  builder: (yargs) =>
    yargs
      .options({
        peers: { type: "number", default: 200, requiresArg: true, describe: "Peers at the start" },
        paths: { type: "number", default: 64, requiresArg: true, describe: "Paths of the run" },
        churn: {
          type: "number",
          default: 0.3,
          requiresArg: true,
          describe: "Share of the peers that leave in an hour; as many come",
        },
        faults: {
          type: "number",
          default: 0,
          requiresArg: true,
          describe: "Further kills, pauses and partitions of single peers in an hour",
        },
        hours: { type: "number", default: 1, requiresArg: true, describe: "Simulated time" },
        seed: {
          type: "number",
          default: 0,
          requiresArg: true,
          describe: "The same seed is the same simulation",
        },
        "round-minutes": {
          type: "number",
          default: 20,
          requiresArg: true,
          describe: "Mean computing time of a round of a path",
        },
        loss: {
          type: "number",
          default: 0.01,
          requiresArg: true,
          describe: "Share of gossip messages that the network loses",
        },
        mbps: { type: "number", default: 100, requiresArg: true, describe: "Speed of a peer's link" },
        "module-megabytes": {
          type: "number",
          default: 20,
          requiresArg: true,
          describe: "Size of a module's parameters and outer gradient",
        },
        sites: {
          type: "number",
          requiresArg: true,
          describe: `Groups of peers that hear the same; by default one for each of up to ${SEPARATE_PEERS} peers, else ${SHARED_SITES}`,
        },
        json: { type: "boolean", default: false, describe: "Print one object, for programs" },
      })
      .example("$0 sim", "200 peers and 64 paths for an hour")
      .example("$0 sim --peers 2000 --paths 256 --churn 0.3 --hours 24 --seed 7", "a large swarm for a day")
      .example(
        "$0 sim --peers 8 --paths 4 --churn 0 --faults 60 --round-minutes 3",
        "many faults, few peers",
      ),
  async handler(flags) {
    check(flags);
    const shutdown = onInterrupt(() => process.stderr.write(`${SIM_STOPS}\n`));
    const progress = createProgress(process.stderr);
    const report = await simulate(flags, shutdown.signal, (text) => progress.update(text));
    progress[Symbol.dispose]();
    if (flags.json) process.stdout.write(`${formatJson(report)}\n`);
    else process.stdout.write(`${lines(report).join("\n")}\n`);
  },
};

function check(flags: SimFlags): void {
  const expect = (right: boolean, flag: string, what: string): void => {
    if (!right) throw new UsageError(`--${flag} takes ${what}.`);
  };
  const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1;
  expect(isCount(flags.peers) && flags.peers <= 100_000, "peers", "a whole number from 1 to 100000");
  expect(isCount(flags.paths) && flags.paths <= 1024, "paths", "a whole number from 1 to 1024");
  expect(Number.isInteger(flags.seed) && flags.seed >= 0, "seed", "a whole number from 0");
  expect(flags.churn >= 0 && flags.churn <= 100, "churn", "a share an hour, such as 0.3");
  expect(flags.faults >= 0, "faults", "a number an hour, such as 60");
  expect(flags.hours > 0, "hours", "a time, such as 24");
  expect(flags["round-minutes"] > 0, "round-minutes", "a time, such as 20");
  expect(flags.loss >= 0 && flags.loss < 1, "loss", "a share below 1, such as 0.01");
  expect(flags.mbps > 0, "mbps", "a speed, such as 100");
  expect(flags["module-megabytes"] >= 0, "module-megabytes", "a size, such as 20");
  expect(
    flags.sites === undefined || (isCount(flags.sites) && flags.sites <= flags.peers),
    "sites",
    "a whole number, at most as many as peers",
  );
}

async function simulate(flags: SimFlags, signal: AbortSignal, show: (text: string) => void): Promise<Report> {
  const { peers, hours, seed, "round-minutes": roundMinutes } = flags;
  const simulation = new Simulation({
    peers,
    seed,
    sites: flags.sites ?? (peers <= SEPARATE_PEERS ? peers : SHARED_SITES),
    // Neither runs out of rounds.
    config: simulatedRun({ grid: gridOf(flags.paths), rounds: 1_000_000 }),
    roundMs: [roundMinutes * 48_000, roundMinutes * 72_000],
    latencyMs: [20, 150],
    loss: flags.loss,
    megabitsPerSecond: flags.mbps,
    moduleBytes: flags["module-megabytes"] * 1e6,
    tickMs: 1000,
  });
  const untilMs = hours * HOUR_MS;
  addChurn(simulation, flags.churn, untilMs);
  addFaults(simulation, flags.faults, untilMs);
  const began = performance.now();
  // An interrupt ends it early, with a report of what was simulated.
  while (simulation.now < untilMs && !signal.aborted) {
    simulation.settle(Math.min(SLICE_MS, untilMs - simulation.now));
    const left = ((performance.now() - began) / simulation.now) * (untilMs - simulation.now);
    const bar = formatBar(simulation.now, untilMs);
    show(
      `${bar} ${formatDuration(simulation.now)} simulated, ${simulation.alive} peers, about ${formatDuration(left)} left`,
    );
    await setImmediate();
  }
  return reportOf(simulation, seed, simulation.now / HOUR_MS);
}

function lines(report: Report): string[] {
  const { perPeerPerSecond: rate, takeoverSeconds: takeover, convergenceSeconds: convergence } = report;
  const seconds = (value: number): string => formatDuration(value * 1000);
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  return formatTable(
    ["", ""],
    [
      ["faults", `${report.faults}; ${takeover.count} times a peer took over the round of another`],
      ["generations per hour", report.generationsPerHour.toFixed(2)],
      ["outer updates per hour", report.updatesPerHour.toFixed(1)],
      [
        "versions everywhere after",
        `median ${seconds(convergence.median)}, at most ${seconds(convergence.max)}`,
      ],
      ["heads at the end", report.headsAgree ? "all peers agree" : "peers differ"],
      ["taken over after", `median ${seconds(takeover.median)}, at most ${seconds(takeover.max)}`],
      [
        "messages per peer per second",
        `${rate.messages.toFixed(2)} (heartbeats ${rate.heartbeats.toFixed(2)}, ` +
          `records ${rate.records.toFixed(2)}, exchanges ${rate.exchanges.toFixed(2)})`,
      ],
      [
        "bytes per peer per second",
        `${formatBytes(rate.controlBytes)} of messages, ${formatBytes(rate.tensorBytes)} of tensors`,
      ],
      ["rounds done twice", percent(report.duplicatedWork)],
      ["computing without a result", percent(report.wastedWork)],
      [
        "contributions",
        `${report.contributions}: ${report.folded} folded, ${report.pending} to fold, ${report.rejected} rejected`,
      ],
      ["lost, folded twice", `${report.lost}, ${report.foldedTwice}`],
    ],
  ).slice(1);
}
