/** Plain gradient descent, which is federated averaging (McMahan et al. 2017) at η = 1: θ = θ − η · Δ. It keeps nothing. */
import { z } from "zod";
import type { OuterOptimizer } from "./types.ts";

const { fround } = Math;

export const sgd: OuterOptimizer = {
  stateNames: ["parameters"],
  options: z.strictObject({}),
  step(state, gradient, config) {
    const eta = fround(config.learningRate);
    const parameters = new Float32Array(gradient.length);
    for (let i = 0; i < gradient.length; i++)
      parameters[i] = state.parameters[i]! - fround(eta * gradient[i]!);
    return { parameters };
  },
};
