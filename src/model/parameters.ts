/** The network's sizes, the order and names of its parameters, and where training starts. */
import { ManifestError } from "../errors.ts";
import { hiddenWidth, type ModelConfig, PAPER } from "../objects/config.ts";
import { createRandom } from "../random.ts";
import type { ModelShape, ParameterSpec } from "./types.ts";

/** Standard deviation of the initial weights at the paper's width (GPT-2, Llama): about 1/√(3·896). */
const DEVIATION_AT_PAPER_WIDTH = 0.02;

/**
 * Fills in the derived sizes.
 * Throws ManifestError when the heads do not divide the width into even parts.
 */
export function modelShape(config: ModelConfig): ModelShape {
  const { vocabulary, sequenceLength, width, blocks, heads, ropeTheta, normEpsilon } = config;
  if (width % heads !== 0 || (width / heads) % 2 !== 0)
    throw new ManifestError(
      `model.width ${width} does not divide into ${heads} heads of even size; make it a multiple of ${2 * heads} or change model.heads.`,
    );
  return {
    vocabulary,
    sequenceLength,
    width,
    blocks,
    heads,
    hidden: hiddenWidth(config),
    ropeTheta,
    normEpsilon,
  };
}

/** Names of the tensors of a block, as in a Hugging Face Llama checkpoint. */
export function blockNames(block: number) {
  const of = (name: string): string => `model.layers.${block}.${name}.weight`;
  return {
    attentionNorm: of("input_layernorm"),
    query: of("self_attn.q_proj"),
    key: of("self_attn.k_proj"),
    value: of("self_attn.v_proj"),
    output: of("self_attn.o_proj"),
    hiddenNorm: of("post_attention_layernorm"),
    gate: of("mlp.gate_proj"),
    up: of("mlp.up_proj"),
    down: of("mlp.down_proj"),
  };
}

export const EMBEDDING = "model.embed_tokens.weight";
export const FINAL_NORM = "model.norm.weight";
export const HEAD = "lm_head.weight";

/**
 * Every parameter in the order of the flat vector: embedding, blocks, head. Names and (out, in) shapes
 * are those of a Hugging Face Llama checkpoint with untied embeddings.
 */
export function parameterSpecs(shape: ModelShape): ParameterSpec[] {
  const { vocabulary, width, hidden } = shape;
  const specs: ParameterSpec[] = [];
  let offset = 0;
  const add = (part: string, name: string, dimensions: number[], decay = dimensions.length > 1): void => {
    const size = dimensions.reduce((product, dimension) => product * dimension, 1);
    specs.push({ name, shape: dimensions, part, offset, size, decay });
    offset += size;
  };
  add("embedding", EMBEDDING, [vocabulary, width], false);
  for (let block = 0; block < shape.blocks; block++) {
    const part = `block ${block}`;
    const names = blockNames(block);
    add(part, names.attentionNorm, [width]);
    for (const name of [names.query, names.key, names.value, names.output]) add(part, name, [width, width]);
    add(part, names.hiddenNorm, [width]);
    add(part, names.gate, [hidden, width]);
    add(part, names.up, [hidden, width]);
    add(part, names.down, [width, hidden]);
  }
  add("head", FINAL_NORM, [width]);
  add("head", HEAD, [vocabulary, width]);
  return specs;
}

/** Elements of each part, in the order of the flat vector. */
export function elementsOfParts(shape: ModelShape): Map<string, number> {
  const elements = new Map<string, number>();
  for (const { part, size } of parameterSpecs(shape)) elements.set(part, (elements.get(part) ?? 0) + size);
  return elements;
}

/** Elements of a path's flat parameter vector. */
export function elementsOfPath(shape: ModelShape): number {
  return parameterSpecs(shape).reduce((sum, { size }) => sum + size, 0);
}

/**
 * Initial weights: norms 1 and the rest normal. Matrices have the deviation 0.02 of GPT-2 and Llama at the paper's
 * width, and at others follow the fan-in, 0.02·√(896/width), so that what they compute has the same variance at every
 * width; the projections that write to the residual stream are scaled down by √(2·blocks), so that its variance does
 * not grow with depth (GPT-2). Embeddings have deviation 1 as in PyTorch, so that the stream starts at the size to
 * which norms bring it, and a block's share of it does not depend on the width. Measured: docs/log.md, 2026-11-30.
 */
export function initialParameters(shape: ModelShape, seed: number): Float32Array {
  const parameters = new Float32Array(elementsOfPath(shape));
  const byFanIn = DEVIATION_AT_PAPER_WIDTH * Math.sqrt(PAPER.width / shape.width);
  for (const { name, shape: dimensions, offset, size } of parameterSpecs(shape)) {
    if (dimensions.length === 1) {
      parameters.fill(1, offset, offset + size);
      continue;
    }
    const residual = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
    const deviation = name === EMBEDDING ? 1 : byFanIn / (residual ? Math.sqrt(2 * shape.blocks) : 1);
    const random = createRandom(seed, "initial weights", name);
    for (let i = offset; i < offset + size; i++) parameters[i] = deviation * random.normal();
  }
  return parameters;
}
