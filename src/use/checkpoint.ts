/** The small files of a Hugging Face Llama checkpoint: what `transformers` must know beside the weights. Pure. */
import { z } from "zod";
import { CorpusError, messageOf } from "../errors.ts";
import type { ModelShape } from "../model/types.ts";
import type { RunConfig } from "../objects/config.ts";

/** `config.json` of `LlamaForCausalLM`. Rotary positions are in halves and SwiGLU is silu, as here. */
export function modelConfig(shape: ModelShape, endOfText: number): object {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: shape.vocabulary,
    hidden_size: shape.width,
    intermediate_size: shape.hidden,
    num_hidden_layers: shape.blocks,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.heads,
    head_dim: shape.width / shape.heads,
    hidden_act: "silu",
    max_position_embeddings: shape.sequenceLength,
    rms_norm_eps: shape.normEpsilon,
    // Both ways to say it: transformers before 5 reads the first, later ones the second.
    rope_theta: shape.ropeTheta,
    rope_parameters: { rope_type: "default", rope_theta: shape.ropeTheta },
    rope_scaling: null,
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    pretraining_tp: 1,
    initializer_range: 0.02,
    tie_word_embeddings: false,
    bos_token_id: endOfText,
    eos_token_id: endOfText,
    torch_dtype: "float32",
    use_cache: true,
  };
}

/** `generation_config.json`: a document begins after end-of-text and ends with it. */
export function generationConfig(endOfText: number): object {
  return { bos_token_id: endOfText, eos_token_id: endOfText, pad_token_id: endOfText };
}

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string() })).default([]),
  post_processor: z.looseObject({ type: z.string() }).nullish(),
  model: z.looseObject({ vocab: z.unknown() }),
});
type TokenizerFile = z.infer<typeof tokenizerSchema>;

/** The files that make `AutoTokenizer` give the ids that the run was trained on. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  json: Uint8Array;
  /** `tokenizer_config.json` */
  config: object;
}

/**
 * Adapts a run's `tokenizer.json`. A run never adds tokens to a text, so a part of the file that does is left out; a file
 * without one is kept byte by byte. (What cuts or fills up texts is refused at `create`.) Throws CorpusError when it has
 * no token `endOfText`.
 */
export function tokenizerFiles(json: Uint8Array, endOfText: number, sequenceLength: number): TokenizerFiles {
  const file = parse(json);
  const processor = withoutAddedTokens(file.post_processor);
  const isPlain = processor === file.post_processor;
  const name = nameOf(file, endOfText);
  return {
    json: isPlain ? json : Buffer.from(JSON.stringify({ ...file, post_processor: processor })),
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: name,
      eos_token: name,
      pad_token: name,
      add_bos_token: false,
      add_eos_token: false,
      clean_up_tokenization_spaces: false,
      model_max_length: sequenceLength,
      // Llama takes no token types.
      model_input_names: ["input_ids", "attention_mask"],
      padding_side: "right",
      // In a run the names of special tokens are ordinary text, so that no document can end itself.
      split_special_tokens: true,
    },
  };
}

function parse(json: Uint8Array): TokenizerFile {
  try {
    return tokenizerSchema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json)));
  } catch (error) {
    throw new CorpusError(`The run's tokenizer.json cannot be read: ${messageOf(error)}.`);
  }
}

/** A byte-level post-processor only moves offsets; the others put tokens around a text. */
function withoutAddedTokens(processor: TokenizerFile["post_processor"]): TokenizerFile["post_processor"] {
  if (processor === undefined || processor === null || processor.type === "ByteLevel") return processor;
  return null;
}

function nameOf({ added_tokens: added, model }: TokenizerFile, id: number): string {
  const special = added.find((token) => token.id === id)?.content;
  if (special !== undefined) return special;
  const { vocab } = model;
  const name = Array.isArray(vocab)
    ? (vocab[id] as unknown[] | undefined)?.[0]
    : Object.entries((vocab ?? {}) as Record<string, unknown>).find(([, value]) => value === id)?.[0];
  if (typeof name !== "string") throw new CorpusError(`The run's tokenizer.json has no token ${id}.`);
  return name;
}

/** What a model card says beyond the configuration of the run. */
export interface CardInit {
  run: string;
  config: RunConfig;
  path: number;
  paths: number;
  /** The modules of the path with the versions that were exported, in network order. */
  modules: readonly { module: string; generation: number; cid: string; tokens: number }[];
  parameters: number;
}

/** `README.md`: what this is, where it comes from and how to load it. */
export function modelCard({ run, config, path, paths, modules, parameters }: CardInit): string {
  const { training, routing, model } = config;
  const steps = `${training.seedSteps} steps of warm start, then up to ${training.rounds} rounds of ${training.innerSteps} steps`;
  return `---
library_name: transformers
pipeline_tag: text-generation
tags: [pathweave, dipaco]
---

# ${config.name}, path ${path} of ${paths}

One path of a modular language model that was trained peer to peer with Pathweave (DiPaCo, https://arxiv.org/abs/2403.10616). A path is a complete small network of ${parameters} parameters in the shape of Llama, in float32.

\`\`\`python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
inputs = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=40)[0]))
\`\`\`

- Run: \`${run}\`
- Training: ${steps}, ${training.batchSize} sequences of ${model.sequenceLength} tokens a step.
- Longest context: ${model.sequenceLength} tokens, prompt included.
- Documents were routed to this path by their first ${routing.prefixTokens} tokens${training.maskPrefix ? ", which were not trained on: prompts that are longer than that are continued best" : ""}. Other paths know other text; \`pathweave generate\` picks the path that fits a prompt.
- Nothing is put before or after a text. The name of a special token in a text is ordinary text, as in training.

| module | generation | tokens folded | version |
| ------ | ---------- | ------------- | ------- |
${modules.map((row) => `| ${row.module} | ${row.generation} | ${row.tokens} | \`${row.cid}\` |`).join("\n")}
`;
}
