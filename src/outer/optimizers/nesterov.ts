/**
 * Nesterov momentum as in DiLoCo (Douillard et al. 2023, section 2), in PyTorch's form:
 *
 *     b = μ · b + Δ
 *     θ = θ − η · (Δ + μ · b)
 */
import { z } from "zod";
import type { OuterOptimizer } from "./types.ts";

const { fround } = Math;

export const nesterov: OuterOptimizer = {
  stateNames: ["parameters", "momentum"],
  options: z.strictObject({}),
  step(state, gradient, config) {
    const [eta, mu] = [fround(config.learningRate), fround(config.momentum)];
    const before = state["momentum"]!;
    const parameters = new Float32Array(gradient.length);
    const momentum = new Float32Array(gradient.length);
    for (let i = 0; i < gradient.length; i++) {
      const delta = gradient[i]!;
      const b = fround(fround(mu * before[i]!) + delta);
      momentum[i] = b;
      parameters[i] = state.parameters[i]! - fround(eta * fround(delta + fround(mu * b)));
    }
    return { parameters, momentum };
  },
};
