/** The outer optimizers that a run can name in `outer.optimizer`. */
import { InvalidObjectError } from "../errors.ts";
import { fedadam } from "./optimizers/fedadam.ts";
import { nesterov } from "./optimizers/nesterov.ts";
import { sgd } from "./optimizers/sgd.ts";
import type { OuterOptimizer } from "./optimizers/types.ts";

export const OUTER_OPTIMIZERS: Readonly<Record<string, OuterOptimizer>> = { nesterov, sgd, fedadam };

/** Looks one up by name. Throws InvalidObjectError when there is none. */
export function outerOptimizer(name: string): OuterOptimizer {
  if (!Object.hasOwn(OUTER_OPTIMIZERS, name))
    throw new InvalidObjectError(`There is no outer optimizer "${name.slice(0, 40)}".`);
  return OUTER_OPTIMIZERS[name]!;
}
