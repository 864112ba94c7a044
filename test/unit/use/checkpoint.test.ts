import assert from "node:assert/strict";
import { before, test } from "node:test";
import { generationConfig, modelCard, modelConfig, tokenizerFiles } from "../../../src/use/checkpoint.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import { type TokenizerJson, trainTokenizer } from "../../../src/data/train-tokenizer.ts";
import { CorpusError } from "../../../src/errors.ts";
import { modelShape } from "../../../src/model/parameters.ts";
import { runConfigSchema } from "../../../src/objects/config.ts";

let file: TokenizerJson;
let json: Uint8Array;

before(async () => {
  file = await trainTokenizer([{ id: "a", source: "a", origin: "a", text: "the whale and the sea" }], {
    vocabulary: 300,
  });
  json = Buffer.from(JSON.stringify(file));
});

const shape = modelShape({
  vocabulary: 300,
  sequenceLength: 96,
  width: 48,
  blocks: 3,
  heads: 2,
  hidden: 80,
  ropeTheta: 500_000,
  normEpsilon: 1e-6,
});

test("config.json says all that the network is", () => {
  assert.deepEqual(modelConfig(shape, 5), {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: 300,
    hidden_size: 48,
    intermediate_size: 80,
    num_hidden_layers: 3,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    head_dim: 24,
    hidden_act: "silu",
    max_position_embeddings: 96,
    rms_norm_eps: 1e-6,
    rope_theta: 500_000,
    rope_parameters: { rope_type: "default", rope_theta: 500_000 },
    rope_scaling: null,
    attention_bias: false,
    attention_dropout: 0,
    mlp_bias: false,
    pretraining_tp: 1,
    initializer_range: 0.02,
    tie_word_embeddings: false,
    bos_token_id: 5,
    eos_token_id: 5,
    torch_dtype: "float32",
    use_cache: true,
  });
  assert.deepEqual(generationConfig(5), { bos_token_id: 5, eos_token_id: 5, pad_token_id: 5 });
});

test("a tokenizer that adds nothing to a text is kept byte by byte", () => {
  const files = tokenizerFiles(json, 0, 96);
  assert.equal(files.json, json);
  assert.deepEqual(files.config, {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: "<|endoftext|>",
    eos_token: "<|endoftext|>",
    pad_token: "<|endoftext|>",
    add_bos_token: false,
    add_eos_token: false,
    clean_up_tokenization_spaces: false,
    model_max_length: 96,
    model_input_names: ["input_ids", "attention_mask"],
    padding_side: "right",
    split_special_tokens: true,
  });
});

test("what would add tokens is left out, and the ids stay", () => {
  const adding = {
    ...file,
    post_processor: { type: "TemplateProcessing", single: [], pair: [], special_tokens: {} },
  };
  const written = tokenizerFiles(Buffer.from(JSON.stringify(adding)), 0, 96).json;
  assert.deepEqual(JSON.parse(Buffer.from(written).toString()), {
    ...file,
    post_processor: null,
  });
  assert.deepEqual(loadTokenizer(written).encode("the sea"), loadTokenizer(json).encode("the sea"));
  const offsets = { ...file, post_processor: { type: "ByteLevel", trim_offsets: true } };
  const kept = Buffer.from(JSON.stringify(offsets));
  assert.equal(tokenizerFiles(kept, 0, 96).json, kept, "offsets are no tokens");
});

test("end-of-text is named by the vocabulary when it is no added token", () => {
  const nameOf = (changes: object, id: number): unknown =>
    (
      tokenizerFiles(Buffer.from(JSON.stringify({ ...file, ...changes })), id, 8).config as {
        eos_token: string;
      }
    ).eos_token;
  assert.equal(nameOf({ added_tokens: [], model: { vocab: { a: 0, "</s>": 1 } } }, 1), "</s>");
  const unigram = [
    ["<unk>", 0],
    ["</s>", -1.5],
  ];
  assert.equal(nameOf({ added_tokens: [], model: { vocab: unigram } }, 1), "</s>");
  assert.throws(() => nameOf({}, 4000), CorpusError);
  assert.throws(() => tokenizerFiles(Buffer.from("{"), 0, 8), CorpusError);
});

test("the model card names the run, the path and its versions", () => {
  const config = runConfigSchema.parse({
    name: "library",
    grid: [2, 2],
    levels: [{ name: "all", parts: ["embedding"], choose: 0 }],
  });
  const modules = [
    { module: "lower/1", generation: 8, cid: "bafyone", tokens: 1000 },
    { module: "upper/0", generation: 7, cid: "bafytwo", tokens: 900 },
  ];
  const card = modelCard({ run: "bafyrun", config, path: 2, paths: 4, modules, parameters: 12_345 });
  for (const text of [
    "# library, path 2 of 4",
    "library_name: transformers",
    "`bafyrun`",
    "12345 parameters",
    "AutoModelForCausalLM",
    "| lower/1 | 8 | 1000 | `bafyone` |",
    "| upper/0 | 7 | 900 | `bafytwo` |",
    "first 32 tokens, which were not trained on",
  ])
    assert.ok(card.includes(text), `the card lacks ${text}`);
  const whole = { ...config, training: { ...config.training, maskPrefix: false } };
  assert.ok(
    !modelCard({ run: "r", config: whole, path: 0, paths: 1, modules, parameters: 1 }).includes(
      "not trained on",
    ),
  );
});
