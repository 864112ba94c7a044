/**
 * The outer update once more (docs/design.md section 4): gradients in fold order, paths in ascending order, every
 * operation on vectors rounded to binary32, every scalar computed in binary64 and rounded once. Nothing of the
 * peer's fold is used, so a mistake there shows as another CID here.
 */
import { InvalidObjectError } from "../errors.ts";
import type { OuterConfig } from "../objects/config.ts";
import { averageOf } from "./average.ts";

export interface State {
  parameters: Float32Array;
  /** Nesterov buffer b. */
  momentum: Float32Array;
}

/** An outer gradient of a path, as it was decoded. */
export interface Gradient {
  path: number;
  values(): Promise<Float32Array>;
}

/** The state after the update. Gradients come in fold order, at least one, each as long as the parameters. */
export async function outerUpdate(
  parent: State,
  gradients: readonly Gradient[],
  shardTokens: (path: number) => number,
  outer: OuterConfig,
): Promise<State> {
  const f32 = Math.fround;
  const paths = [...new Set(gradients.map(({ path }) => path))].toSorted((a, b) => a - b);
  const weight = (path: number): number => (outer.reweigh ? Math.max(1, shardTokens(path)) : 1);
  let total = 0;
  let squares = 0;
  for (const path of paths) {
    total += weight(path);
    squares += weight(path) * weight(path);
  }
  const rescale = outer.rescale === "sqrt" ? f32(total / Math.sqrt(squares)) : 1;

  const shareOf = (gradient: Gradient): number => {
    const copies = gradients.filter(({ path }) => path === gradient.path).length;
    return f32(weight(gradient.path) / (copies * total));
  };
  const average = await averageOf(gradients, shareOf, parent.parameters.length, outer);

  const mu = f32(outer.momentum);
  const eta = f32(outer.learningRate);
  const next: State = {
    parameters: new Float32Array(average.length),
    momentum: new Float32Array(average.length),
  };
  for (let i = 0; i < average.length; i++) {
    const delta = f32(rescale * average[i]!);
    const b = f32(f32(mu * parent.momentum[i]!) + delta);
    const move = f32(delta + f32(mu * b));
    next.momentum[i] = b;
    next.parameters[i] = f32(parent.parameters[i]! - f32(eta * move));
  }
  if (!next.parameters.every(Number.isFinite) || !next.momentum.every(Number.isFinite))
    throw new InvalidObjectError("the outer update overflows");
  return next;
}
