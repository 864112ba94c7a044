/** The inner optimizers that there are. */
import { adamw } from "./optimizers/adamw.ts";
import type { InnerOptimizer } from "./optimizers/types.ts";

export const INNER_OPTIMIZERS = { adamw } satisfies Readonly<Record<string, InnerOptimizer>>;
