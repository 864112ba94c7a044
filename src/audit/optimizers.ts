/**
 * The outer optimizers once more, one number at a time and from their descriptions: nothing of the peer's is used, so a
 * mistake there shows as another CID here.
 */
import { InvalidObjectError } from "../errors.ts";
import type { OuterConfig } from "../objects/config.ts";

/** The tensors of a version by name, each flat. */
export interface State {
  parameters: Float32Array;
  [name: string]: Float32Array;
}

export interface Optimizer {
  /** What a version keeps beside its parameters; zeros where a genesis version lacks it. */
  keeps: readonly string[];
  /** Moves parameter `i` by its rescaled average outer gradient Δ, and writes all that is kept of it into `next`. */
  step(outer: OuterConfig): (before: State, delta: number, next: State, i: number) => void;
}

const f32 = Math.fround;

const OPTIMIZERS: Readonly<Record<string, Optimizer>> = {
  nesterov: {
    keeps: ["momentum"],
    step({ learningRate, momentum }) {
      const [eta, mu] = [f32(learningRate), f32(momentum)];
      return (before, delta, next, i) => {
        const b = f32(f32(mu * before["momentum"]![i]!) + delta);
        const move = f32(delta + f32(mu * b));
        next["momentum"]![i] = b;
        next.parameters[i] = f32(before.parameters[i]! - f32(eta * move));
      };
    },
  },
  sgd: {
    keeps: [],
    step({ learningRate }) {
      const eta = f32(learningRate);
      return (before, delta, next, i) => {
        next.parameters[i] = f32(before.parameters[i]! - f32(eta * delta));
      };
    },
  },
  fedadam: {
    keeps: ["momentum", "second"],
    step({ learningRate, momentum, options = {} }) {
      const { beta2 = 0.99, tau = 0.001 } = options;
      const eta = f32(learningRate);
      const mix = (rate: number) => {
        const [old, fresh] = [f32(rate), f32(1 - rate)];
        return (before: number, value: number): number => f32(f32(old * before) + f32(fresh * value));
      };
      const [first, second] = [mix(momentum), mix(beta2)];
      return (before, delta, next, i) => {
        const m = first(before["momentum"]![i]!, delta);
        const v = second(before["second"]![i]!, f32(delta * delta));
        const move = f32(m / f32(f32(Math.sqrt(v)) + f32(tau)));
        next["momentum"]![i] = m;
        next["second"]![i] = v;
        next.parameters[i] = f32(before.parameters[i]! - f32(eta * move));
      };
    },
  },
};

/** The optimizer of a run. Throws InvalidObjectError when this auditor does not know it. */
export function optimizerOf({ optimizer }: OuterConfig): Optimizer {
  const known = Object.hasOwn(OPTIMIZERS, optimizer) ? OPTIMIZERS[optimizer] : undefined;
  if (known === undefined)
    throw new InvalidObjectError(`The outer optimizer ${optimizer} is not known here.`);
  return known;
}
