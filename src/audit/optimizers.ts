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
};

/** The optimizer of a run. Throws InvalidObjectError when this auditor does not know it. */
export function optimizerOf({ optimizer }: OuterConfig): Optimizer {
  const known = Object.hasOwn(OPTIMIZERS, optimizer) ? OPTIMIZERS[optimizer] : undefined;
  if (known === undefined)
    throw new InvalidObjectError(`The outer optimizer ${optimizer} is not known here.`);
  return known;
}
