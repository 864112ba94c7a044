/** The network's sizes with every derived value filled in; a plain object that crosses threads. */
export interface ModelShape {
  vocabulary: number;
  sequenceLength: number;
  width: number;
  blocks: number;
  heads: number;
  hidden: number;
  ropeTheta: number;
  normEpsilon: number;
}

/**
 * One parameter tensor. The parameters of a path are one flat Float32Array in the order of
 * `parameterSpecs`: embedding, blocks in order, head. A module owns whole consecutive parts, so its
 * parameters are one contiguous slice of that vector.
 */
export interface ParameterSpec {
  /** Hugging Face Llama name, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  name: string;
  shape: number[];
  /** `embedding`, `block 0`, …, `head`. */
  part: string;
  /** Elements before this tensor in the flat vector of a path. */
  offset: number;
  size: number;
  /** Whether weight decay applies: not to norms and embeddings. */
  decay: boolean;
}
