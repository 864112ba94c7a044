/**
 * FedAdam (Reddi et al. 2020, "Adaptive Federated Optimization", algorithm 2), with β₁ the run's `outer.momentum`:
 *
 *     m = β₁ · m + (1 − β₁) · Δ
 *     v = β₂ · v + (1 − β₂) · Δ²
 *     θ = θ − η · (m / (√v + τ))
 *
 * As in the paper there is no correction of bias. Both begin at zero, where the paper has v begin at τ² or above.
 */
import { z } from "zod";
import type { OuterOptimizer } from "./types.ts";

const { fround, sqrt } = Math;

/** β₂ and τ, as in the paper's experiments when absent. */
const options = z.strictObject({
  beta2: z.number().min(0).lt(1).default(0.99),
  tau: z.number().positive().default(1e-3),
});

export const fedadam: OuterOptimizer = {
  stateNames: ["parameters", "momentum", "second"],
  options,
  step(state, gradient, config) {
    const { beta2, tau } = options.parse(config.options ?? {});
    const [eta, epsilon] = [fround(config.learningRate), fround(tau)];
    const [keep1, take1] = [fround(config.momentum), fround(1 - config.momentum)];
    const [keep2, take2] = [fround(beta2), fround(1 - beta2)];
    const before = { momentum: state["momentum"]!, second: state["second"]! };
    const parameters = new Float32Array(gradient.length);
    const momentum = new Float32Array(gradient.length);
    const second = new Float32Array(gradient.length);
    for (let i = 0; i < gradient.length; i++) {
      const delta = gradient[i]!;
      const m = fround(fround(keep1 * before.momentum[i]!) + fround(take1 * delta));
      const v = fround(fround(keep2 * before.second[i]!) + fround(take2 * fround(delta * delta)));
      const root = fround(fround(sqrt(v)) + epsilon);
      momentum[i] = m;
      second[i] = v;
      parameters[i] = state.parameters[i]! - fround(eta * fround(m / root));
    }
    return { parameters, momentum, second };
  },
};
