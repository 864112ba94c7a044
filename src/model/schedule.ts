import type { TrainingConfig } from "../objects/config.ts";

/**
 * The learning rate by the number of the step in the whole run (0-based): linear warm-up over
 * `warmupSteps`, then a cosine that reaches `finalLearningRate` of the peak at the last of `totalSteps`
 * and stays there. A function of the swarm's step only, so that late joiners agree.
 */
export function learningRateSchedule(
  training: Pick<TrainingConfig, "learningRate" | "finalLearningRate" | "warmupSteps">,
  totalSteps: number,
): (globalStep: number) => number {
  const { learningRate, finalLearningRate, warmupSteps } = training;
  const cosineSteps = Math.max(1, totalSteps - 1 - warmupSteps);
  return (globalStep) => {
    if (globalStep < warmupSteps) return (learningRate * (globalStep + 1)) / warmupSteps;
    const progress = Math.min(1, (globalStep - warmupSteps) / cosineSteps);
    const cosine = (1 + Math.cos(Math.PI * progress)) / 2;
    return learningRate * (finalLearningRate + (1 - finalLearningRate) * cosine);
  };
}
