/**
 * The supported parts of a `tokenizer.json`: those that proved equal to Hugging Face's Rust library, which every user
 * of an exported model has. `npm run interop:tokenizers` compares them. An error names any other part.
 */
import { z } from "zod";
import { CorpusError } from "../errors.ts";

/** The error for a part of a tokenizer that would, or could, tokenize otherwise here. */
export function unsupported(what: string): CorpusError {
  return new CorpusError(
    `The tokenizer's ${what} is not supported: Pathweave would cut text otherwise than other programs do. ` +
      "Use another tokenizer.json, or train one by leaving the key tokenizer out.",
  );
}

const MAX_VOCABULARY = 1_000_000;
const idSchema = z
  .int()
  .min(0)
  .max(MAX_VOCABULARY - 1);

const addedTokenSchema = z.looseObject({
  id: idSchema,
  content: z.string(),
  special: z.boolean().default(false),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
});
export type AddedToken = z.infer<typeof addedTokenSchema>;

const modelSchema = z.looseObject({
  type: z.string().optional(),
  vocab: z.record(z.string(), idSchema),
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  unk_token: z.string().nullish(),
  dropout: z.number().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  byte_fallback: z.boolean().nullish(),
  fuse_unk: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});

const fileSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  decoder: z.unknown().optional(),
  truncation: z.unknown().optional(),
  padding: z.unknown().optional(),
  model: z.looseObject({ type: z.string().optional() }),
});

/** A file of which model and added tokens are known to be supported. */
export interface TokenizerFile {
  added_tokens: AddedToken[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  decoder: unknown;
  model: z.infer<typeof modelSchema>;
  [key: string]: unknown;
}

/** The name of one byte in a vocabulary with `byte_fallback`. */
function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** Checks all but normalizer and pre-tokenizer. Throws CorpusError for what is not supported, ZodError for what is no tokenizer. */
export function parseTokenizer(json: unknown): TokenizerFile {
  const file = fileSchema.parse(json);
  const { type = "merges" in file.model ? "BPE" : "one without a type" } = file.model;
  if (type !== "BPE") throw unsupported(`model ${type}`);
  const model = modelSchema.parse(file.model);
  // With dropout the same text gives other tokens each time.
  if ((model.dropout ?? 0) !== 0) throw unsupported("dropout");
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"] as const)
    if ((model[key] ?? "") !== "") throw unsupported(key);
  if (model.byte_fallback === true)
    for (let byte = 0; byte < 256; byte++)
      if (model.vocab[byteToken(byte)] === undefined)
        throw unsupported(`byte_fallback without ${byteToken(byte)}`);
  if (typeof model.unk_token === "string" && model.vocab[model.unk_token] === undefined)
    throw unsupported(`unk_token ${JSON.stringify(model.unk_token)}, which is not in its vocabulary,`);
  for (const key of ["truncation", "padding"]) if ((file[key] ?? null) !== null) throw unsupported(key);
  for (const token of file.added_tokens) {
    const name = `added token ${JSON.stringify(token.content)}`;
    if ((model.vocab[token.content] ?? token.id) !== token.id) throw unsupported(`${name} with two ids`);
    // The names of special tokens are ordinary text in a document, so how they would be found does not matter.
    if (token.special) continue;
    if (token.content === "") throw unsupported("empty added token");
    for (const flag of ["single_word", "lstrip", "rstrip"] as const)
      if (token[flag]) throw unsupported(`${name} with ${flag}`);
  }
  return {
    ...file,
    normalizer: file.normalizer ?? null,
    pre_tokenizer: file.pre_tokenizer ?? null,
    decoder: file.decoder ?? null,
    model,
  };
}
