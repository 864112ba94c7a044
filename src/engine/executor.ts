/** What runs inside an engine's worker thread. */
/** Inputs of k training steps, each row-major with the step as first dimension. */
export interface Steps {
  count: number;
  /** (k, B, T + 1) */
  tokens: Int32Array;
  /** (k, B, T) */
  mask: Float32Array;
  /** (k, scalarCount) of the optimizer */
  scalars: Float32Array;
}

/** One number per step (k). */
export interface StepsResult {
  losses: Float32Array;
  gradientNorms: Float32Array;
}

/** What the optimizer keeps, by name, flat; the number of the step is not the device's business. */
export interface DeviceState {
  parameters: Float32Array;
  [name: string]: Float32Array;
}

/** A training state on the device. */
export interface Training {
  run(steps: Steps): Promise<StepsResult>;
  /** Takes the state off the device, which ends the training. */
  state(): Promise<DeviceState>;
  dispose(): void;
}

/** The computations of an engine for full batches of `batchSize` sequences. */
export interface Executor {
  /** Starts from a state, whose vectors the training may overwrite. */
  openTraining(state: DeviceState): Promise<Training>;
  /** tokens (B, T + 1), mask (B, T) → (B) */
  score(parameters: Float32Array, tokens: Int32Array, mask: Float32Array): Promise<Float32Array>;
  /** tokens (B, T), positions (B) → (B, vocabulary) */
  logits(parameters: Float32Array, tokens: Int32Array, positions: Int32Array): Promise<Float32Array>;
  /** tokens (B, T), weights (B, T) → (B, width) */
  features(parameters: Float32Array, tokens: Int32Array, weights: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}
