/** What happens to peers, drawn from the simulation's seed. */
import type { SimulatedPeer } from "./types.ts";
import type { Simulation } from "./simulation.ts";

const HOUR_MS = 3_600_000;
/** Mean time until a peer comes for one that went, ms. */
const ABSENCE_MS = 15 * 60_000;
/** Share of the leaving peers that say goodbye; the others crash. */
const GOODBYES = 1 / 3;

/** Time to the next of events that come at random at a mean rate, ms. */
function wait(simulation: Simulation, perHour: number): number {
  return (-Math.log(1 - simulation.random.uniform()) / perHour) * HOUR_MS;
}

function pick(simulation: Simulation): SimulatedPeer | undefined {
  const standing = simulation.peers.filter(({ alive, paused }) => alive && !paused);
  return standing[simulation.random.integer(Math.max(1, standing.length))];
}

/**
 * Lets peers come and go: `share` of them go in an hour, most without a word, and for each one comes some time later;
 * either itself, with its disk, or a stranger.
 */
export function addChurn(simulation: Simulation, share: number, untilMs: number): void {
  if (share === 0) return;
  const perHour = share * simulation.peers.length;
  const next = (): void => {
    simulation.after(wait(simulation, perHour), () => {
      if (simulation.now >= untilMs) return;
      const { random } = simulation;
      const peer = pick(simulation);
      if (peer !== undefined && simulation.alive > 1) {
        if (random.uniform() < GOODBYES) simulation.leave(peer);
        else simulation.kill(peer);
        const returns = random.uniform() < 0.5;
        simulation.after(-Math.log(1 - random.uniform()) * ABSENCE_MS, () => {
          if (returns) simulation.start(peer);
          else simulation.add(`peer-${simulation.peers.length}`);
        });
      }
      next();
    });
  };
  next();
}

/** Kills and restarts, pauses and cuts off peers, so many an hour, each for 1 to 30 s. */
export function addFaults(simulation: Simulation, perHour: number, untilMs: number): void {
  if (perHour === 0) return;
  const next = (): void => {
    simulation.after(wait(simulation, perHour), () => {
      if (simulation.now >= untilMs) return;
      const { random } = simulation;
      const length = 1000 + random.uniform() * 29_000;
      const kind = random.integer(3);
      const peer = pick(simulation);
      if (peer !== undefined) {
        if (kind === 0) {
          simulation.kill(peer);
          simulation.after(length, () => simulation.start(peer));
        } else if (kind === 1) simulation.pause(peer, length);
        else simulation.isolate(peer, length);
      }
      next();
    });
  };
  next();
}
