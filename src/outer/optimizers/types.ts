import type { z } from "zod";
import type { OuterConfig } from "../../objects/config.ts";

/** A module's tensors by name, as flat vectors of one length: its parameters, and what the outer optimizer keeps. */
export interface ModuleState {
  parameters: Float32Array;
  [name: string]: Float32Array;
}

/** The numbers of a run that an outer optimizer reads. */
export type StepConfig = Pick<OuterConfig, "learningRate" | "momentum" | "options">;

/** One outer optimizer: how a module moves by the average of its outer gradients. */
export interface OuterOptimizer {
  /** What a version keeps, parameters first. What a genesis version lacks of it is zeros. */
  readonly stateNames: readonly ["parameters", ...string[]];
  /** What `outer.options` may hold, with defaults. */
  readonly options: z.ZodType<Record<string, number>>;
  /**
   * The state after one outer step by Δ, the rescaled average of θ_start − θ_end, in new arrays: a bit-exact function,
   * every elementwise product, quotient, root and sum rounded to binary32 once. Overflows are the caller's to find.
   */
  step(state: ModuleState, gradient: Float32Array, config: StepConfig): ModuleState;
}
