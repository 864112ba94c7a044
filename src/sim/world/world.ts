/**
 * A whole run under one seed: machines with peers of the production code, faults, and an intruder. First anything may
 * fail and nothing false may happen; then a core stops failing, and has to agree and finish.
 */
import { createRandom } from "../../random.ts";
import { Chronicle } from "./chronicle.ts";
import { Injector } from "./injector.ts";
import { finish } from "./liveness.ts";
import type { Machine, MachineEvent } from "./machine.ts";
import { MemoryNetwork } from "./network.ts";
import { Population } from "./population.ts";
import { Referee } from "./referee.ts";
import { Timeline } from "./timeline.ts";
import type { Outcome } from "./types.ts";

/** A process that ended by itself is started again after this time, as a service is. */
const RESTART_MS = 10_000;
/** Longest time in which a peer has to stop. */
const STOP_MS = 120_000;

/** A world in which only that happens to the machines which somebody does to them. */
export interface QuietWorld {
  peers: number;
  rounds: number;
  /** Called when everything is in place, before anything is started. */
  begin(machines: readonly Machine[], strike: Pick<Injector, "cutPower">): void;
}

export interface WorldOptions {
  seed: number;
  /** Instead of faults by chance. */
  quiet?: QuietWorld;
  /** Gives some machines a slow disk, and some little room. */
  poorDisks?: boolean;
  /** Hears of every line of the trace. */
  trace?: (line: string) => void;
}

/** Lives one seed through. */
export async function live({ seed, trace, quiet, poorDisks = false }: WorldOptions): Promise<Outcome> {
  const timeline = new Timeline();
  const random = createRandom("world", seed);
  const network = new MemoryNetwork({ clock: timeline, random: createRandom("network", seed) });
  const chronicle = new Chronicle({
    timeline,
    trace,
    stop: (name) => population.find(name)?.kill(false),
  });
  const hear = (machine: Machine, event: MachineEvent): void => {
    const { name, peer } = machine;
    if (event.type === "started") chronicle.started(name, peer);
    else if (event.type === "restored") void referee.restored(machine);
    else if (event.type !== "ended") chronicle.event(name, event);
    else {
      chronicle.say(name, `ended: ${event.reason}`);
      chronicle.marks.reach("a process ended by itself");
      chronicle.fault("kill", [machine]);
      if (event.reason.includes("--max-disk")) machine.maxBytes *= 1.5;
      if (population.machines.includes(machine)) timeline.after(RESTART_MS, () => injector.start(machine));
    }
  };
  const population = await Population.settle({
    seed,
    random,
    timeline,
    network,
    chronicle,
    hear,
    poorDisks,
    ...(quiet === undefined ? {} : { quiet }),
  });
  const injector = new Injector({ random, timeline, network, population, chronicle });
  const { machines, run, intruder } = population;
  const { rotted } = injector;
  const lies = intruder?.lies ?? new Set<string>();
  const referee = new Referee({ random, timeline, chronicle, run, rotted, lies });

  const endMs = Math.round((0.5 + 0.5 * random.uniform()) * population.usualMs);
  for (const [index, machine] of machines.entries())
    timeline.after(index === 0 ? 0 : 500 + 3000 * random.uniform(), () => machine.start());
  if (quiet === undefined) injector.plan(createRandom("faults", seed), endMs);
  else quiet.begin(machines, injector);
  intruder?.play();
  await timeline.run(endMs);

  const core = quiet === undefined ? injector.calm(createRandom("core", seed)) : machines;
  const end = await finish(core, run, timeline);
  for (const machine of core) await referee.restored(machine);
  for (const machine of core) {
    let stopped = false;
    void machine.stop().then(() => (stopped = true));
    await timeline.run(timeline.now() + STOP_MS, () => stopped);
  }
  const report = await referee.ended({ machines, core }, end);
  return {
    seed,
    peers: machines.length,
    faults: injector.struck,
    attacks: intruder?.attacks ?? 0,
    contributions: report.contributions,
    folded: report.folded,
    rejected: report.rejections,
    diedWithDisk: report.diedWithDisk,
    lost: report.lost,
    foldedTwice: report.foldedTwice,
    headsAgree: report.headsAgree && end.finished,
    broken: chronicle.broken,
    marks: chronicle.marks.reached(),
    milliseconds: timeline.now(),
    digest: chronicle.digest(),
  };
}
