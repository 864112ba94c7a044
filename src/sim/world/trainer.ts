/** A stand-in for training: it takes simulated time, and what comes out is a vector of the seed. */
import { type Clock, delay } from "../../clock.ts";
import type { RunConfig } from "../../objects/config.ts";
import { slotKey } from "../../plan/slots.ts";
import type { Slot } from "../../plan/types.ts";
import { createRandom } from "../../random.ts";
import type { PathTrainer } from "../../swarm/types.ts";

export interface SeededTrainerInit {
  clock: Clock;
  /** Of the process, so that two that train one slot come to different ends. */
  label: string;
  config: RunConfig;
  /** Time of one step, in ms. */
  stepMs: number;
  /** Gets the shard of a path. */
  prepare(path: number, signal: AbortSignal): Promise<void>;
}

export function createSeededTrainer(init: SeededTrainerInit): PathTrainer {
  const { clock, label, config, stepMs } = init;
  const { innerSteps: steps } = config.training;
  return {
    device: "seeded",
    prepare: (slot, signal) => init.prepare(slot.path, signal),
    async train(slot: Slot, { parameters, moments, progress }, report, signal) {
      await init.prepare(slot.path, signal);
      const random = createRandom("train", label, slotKey(slot), parameters[0] ?? 0);
      const state = {
        step: moments?.step ?? 0,
        firstMoment: moments?.firstMoment ?? new Float32Array(parameters.length),
        secondMoment: moments?.secondMoment ?? new Float32Array(parameters.length),
      };
      const loss = 1 + random.uniform();
      for (let step = (progress?.steps ?? 0) + 1; step <= steps; step++) {
        try {
          await delay(clock, stepMs * (0.8 + 0.4 * random.uniform()), signal);
        } catch (error) {
          if (step > 1)
            await report.keep({
              parameters,
              moments: state,
              progress: { steps: step - 1, loss, warmsUp: moments === undefined },
            });
          throw error;
        }
        for (let i = 0; i < parameters.length; i++) {
          const change = 0.01 * (random.uniform() - 0.5);
          parameters[i]! -= change;
          state.firstMoment[i] = change;
          state.secondMoment[i] = change * change;
        }
        state.step++;
        report.step({
          ...slot,
          step,
          steps,
          loss,
          learningRate: 1e-3,
          gradientNorm: 1,
          tokensPerSecond: 1000,
          millisecondsLeft: stepMs * (steps - step),
        });
        if (step < steps)
          await report.keep({
            parameters,
            moments: state,
            progress: { steps: step, loss, warmsUp: moments === undefined },
          });
      }
      return { steps, loss, tokensPerSecond: 1000, moments: state };
    },
    close: async () => {},
  };
}
