/**
 * The outer update once more (docs/design.md section 4): gradients in fold order, paths in ascending order, every
 * operation on vectors rounded to binary32, every scalar computed in binary64 and rounded once. Nothing of the
 * peer's fold is used, so a mistake there shows as another CID here.
 */
import { InvalidObjectError } from "../errors.ts";
import type { OuterConfig } from "../objects/config.ts";
import { averageOf } from "./average.ts";
import { optimizerOf } from "./optimizers.ts";

/** The tensors of a version by name, each flat. */
export interface State {
  parameters: Float32Array;
  [name: string]: Float32Array;
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

  const { keeps, step } = optimizerOf(outer);
  const names = ["parameters", ...keeps];
  const move = step(outer);
  const next = Object.fromEntries(names.map((name) => [name, new Float32Array(average.length)])) as State;
  for (let i = 0; i < average.length; i++) move(parent, f32(rescale * average[i]!), next, i);
  for (const name of names)
    if (!next[name]!.every(Number.isFinite)) throw new InvalidObjectError("the outer update overflows");
  return next;
}
