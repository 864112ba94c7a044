/** Tokenizer files: one as Pathweave trains it, and one with most of what Hugging Face's can say. */
export const TOKENIZERS = [
  {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: "<|endoftext|>",
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      vocab: { "<|endoftext|>": 0, a: 1, b: 2, ab: 3, Ġ: 4 },
      merges: ["a b"],
    },
  },
  {
    version: "1.0",
    added_tokens: [
      { id: 0, content: "</s>", special: true },
      { id: 1, content: "<unk>", special: true },
      { id: 6, content: "tool", special: false, normalized: true },
    ],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Lowercase" },
        { type: "Replace", pattern: { String: "1" }, content: "b" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: { Regex: "(?i:'s)|[^\\s\\p{L}a-c]?\\p{L}+|\\s{1,3}(?!\\S)" },
          behavior: "MergedWithPrevious",
          invert: false,
        },
        { type: "Digits", individual_digits: true },
        { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
      ],
    },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }],
      pair: [],
      special_tokens: {},
    },
    decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: false,
      vocab: { "</s>": 0, "<unk>": 1, a: 2, b: 3, ab: 4, "▁": 5, tool: 6 },
      merges: [["a", "b"]],
    },
  },
].map((tokenizer) => Buffer.from(JSON.stringify(tokenizer)));
