"""Makes tokenizers in the shapes that are published and says what Hugging Face's Rust library does with hard strings.

Writes one JSON object {"version", "strings", "shapes": [{"name", "tokenizer", "ids", "pieces"}]} to standard output: for
each string its ids and the lengths of its pre-tokens; of many numbers the SHA-256, joined by commas. Special tokens are ordinary text (encode_special_tokens), as in a corpus, and none are added.

    python scripts/interop/tokenizer_shapes.py [--golden]

--golden: a few shapes with small vocabularies and fewer strings, for test/golden/data/tokenizers.json.
"""

import hashlib
import json
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GOLDEN = "--golden" in sys.argv
VOCABULARY = 420 if GOLDEN else 900

TEXT = [
    "Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse, I thought "
    "I would sail about a little and see the watery part of the world. It is a way I've of driving off the spleen.",
    "Es war einmal ein König, der hatte eine schöne Tochter; die Straße führte über 1234 Brücken, 56 Türme und 7 Tore.",
    "def main(args):\n    if len(args) > 10:\n        return [x ** 2 for x in range(100)]\n\treturn None\n\n\n",
    "我思故我在。鯨は海に住む動物です。고래는 바다에 산다. Кит живёт в море. Ο κόσμος ΟΔΥΣΣΕΥΣ. الحوت يعيش في البحر",
    "She said: \"don't, we'll, they're, I'd, it's, we've\" -- 3.14159 and 2,718,281 at 12:30 on 2026-11-30! 🐋🌊👩‍👩‍👧‍👦",
] * 4

HARD = [
    "", " ", "  ", "   a", "a   ", "\t", "\n", "\r\n", "\r\n\r\n  x", " \n \n ", "a\n\n\nb", "\ta\t\tb", "x \n", "  \r y",
    "Hello world", " Hello  world ", "hello WORLD hElLo", "don't DON'T we'LL I'M it's 'S 's '\u017f they'RE I'D 'VE",
    "0 12 123 1234 12345 1.5e-7 3,000,000 ½ ² ³ ¹ ٣٤ १२३ Ⅻ ①", "a1b22c333", "!!! ... --- ??!! (a)[b]{c}<d>",
    "https://example.org/a?b=c&d=e#f", "snake_case camelCase PascalCase SCREAMING_CASE kebab-case",
    "é e\u0301 ö o\u0308 Å A\u030a \u212b ﬁ ﬀ ß ẞ İ ı ǆ ŉ", "\u1e9b\u0323 \u0344 \uac00 \u1100\u1161\u11a8 \u0958",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ ὈΔΥΣΣΕΎΣ Σ", "Привет, мир! Как дела?", "我思故我在。鯨は海に住む。고래는 바다에 산다",
    "\u3400\u4e00\u9fff\U00020000\U0002a6df\U0002b73a\U000323b0", "สวัสดีชาวโลก नमस्ते दुनिया ሰላም", "مرحبا بالعالم שלום עולם",
    "🐋", "👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇭 👍🏽 ❤️ ☺", "a\u0300\u0301\u0302\u0303\u0304b", "z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A", "\ufeffbom \ufeff in\ufeffside", "\u0085next\u0085line \u0085 ",
    "\u00a0nbsp\u00a0 \u2003em\u3000ideographic\u200bzero\u2028line\u2029para\u180e\u202f\u205f\u1680", "\u0000\u0001\u0007\u001b[0m\u007f\u009f",
    "\ue000\uf8ff\ufffd\uffff\U0010ffff", "\u2581a \u2581 \u2581\u2581b a\u2581", "Ġhello Ċ Ā",
    "<s> </s> <unk> <|endoftext|> <|im_start|>user<|im_end|> [INST] <0x41> <0xE2><0x96><0x81>", "<tool>x</tool> a<tool> <tool>b <to",
    "    indented\n        more\n\tand tab\n", "\n\n\n\n    \n", "a" * 500, "ab" * 300, "x " * 200, "\n" * 40, " " * 77, "1" * 50, "-" * 33, "🐋" * 20, "鯨" * 100,
    "donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 3, "\u212aelvin \u017flong 'ſ", "l'été d'Artagnan aujourd'hui",
    "\U0001e6c0 \u088f\u0c5c \U00016ea0x", "$1 $& $$ \\1 \\n %s {0}", "constructor __proto__ toString hasOwnProperty", "the end.",
]


def byte_level(pre, normalizer=None, post=None, size=VOCABULARY, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    if post is not None:
        tokenizer.post_processor = post
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def split_byte_level(regex, behavior="isolated", invert=False, first=(), **options):
    return byte_level(
        pre_tokenizers.Sequence(
            [*first, pre_tokenizers.Split(Regex(regex), behavior, invert), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        ),
        **options,
    )


def sentencepiece(pre=None, normalizer=None, fallback=True, fuse=True, specials=("<unk>", "<s>", "</s>")):
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
    unk = specials[0] if specials else None
    tokenizer = Tokenizer(models.BPE(unk_token=unk, fuse_unk=fuse, byte_fallback=fallback))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    size = VOCABULARY + (256 if fallback else 0)
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*(specials or ["</s>"]), *bytes_], show_progress=False, limit_alphabet=60, max_token_length=16
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    # Bytes are entries of the vocabulary, not added tokens, in published files.
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer


GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = GPT4.replace("{1,3}", "")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = O200K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace("{1,3}", "")
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def with_added(tokenizer, *tokens):
    tokenizer.add_tokens(list(tokens))
    return tokenizer


def deepseek():
    split = pre_tokenizers.Split
    return byte_level(
        pre_tokenizers.Sequence(
            [
                split(Regex(r"\p{N}{1,3}"), "isolated"),
                split(Regex("[一-龥぀-ゟ゠-ヿ]+"), "isolated"),
                split(Regex(DEEPSEEK), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    )


def llama2():
    return sentencepiece(normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))


def changed(tokenizer, **model):
    data = json.loads(tokenizer.to_str())
    data["model"].update(model)
    return Tokenizer.from_str(json.dumps(data))


def word_piece(lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[EOS]"], show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


B = pre_tokenizers.ByteLevel
NORMALIZED = dict(normalized=True, special=False)
RAW = dict(normalized=False, special=False)

SHAPES = {
    "GPT-2": lambda: byte_level(B(add_prefix_space=False)),
    "RoBERTa": lambda: byte_level(B(add_prefix_space=False), post=processors.RobertaProcessing(("</s>", 2), ("<s>", 0))),
    "BART with prefix space": lambda: byte_level(B(add_prefix_space=True)),
    "GPT-NeoX (NFC, runs of spaces)": lambda: with_added(
        byte_level(B(add_prefix_space=False), normalizer=normalizers.NFC()), *[AddedToken(" " * n, **NORMALIZED) for n in (24, 12, 5, 3, 2)]
    ),
    "Phi-2 (runs of spaces and tabs)": lambda: with_added(
        byte_level(B(add_prefix_space=False)), *[AddedToken(text, **RAW) for text in (" " * 8, " " * 4, "  ", "\t\t", "\t\t\t")]
    ),
    "StarCoder (digits first)": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), B(add_prefix_space=False)])),
    "Falcon-like (digits together)": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(), B(add_prefix_space=False)])),
    "Llama 3": lambda: changed(split_byte_level(GPT4), ignore_merges=True),
    "Qwen 2": lambda: with_added(
        split_byte_level(QWEN2, normalizer=normalizers.NFC()), AddedToken("<tool>", **RAW), AddedToken("</tool>", **RAW)
    ),
    "GPT-4o": lambda: split_byte_level(O200K),
    "Mistral Nemo (Tekken)": lambda: split_byte_level(TEKKEN),
    "DeepSeek 3": deepseek,
    "OLMo 2 (inverted, removed)": lambda: split_byte_level(GPT4, "removed", True),
    "split, contiguous": lambda: split_byte_level(r"\s+|\p{L}", "contiguous"),
    "split, merged with previous": lambda: split_byte_level(r"[\s\p{P}]", "merged_with_previous"),
    "split, merged with next": lambda: split_byte_level(r"[A-Z\s-]", "merged_with_next"),
    "split, contiguous, inverted": lambda: split_byte_level(r"\d+\S?", "contiguous", True),
    "split, merged with previous, inverted": lambda: split_byte_level(r"[^a-z]+?", "merged_with_previous", True),
    "white space away": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), B(add_prefix_space=True, use_regex=False)])),
    "Llama 2": llama2,
    "Mistral v0.3 (Metaspace, first)": lambda: sentencepiece(pre=pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "Metaspace, always, split": lambda: with_added(sentencepiece(pre=pre_tokenizers.Metaspace()), AddedToken("<tool>", **RAW)),
    "Metaspace, first, split": lambda: with_added(sentencepiece(pre=pre_tokenizers.Metaspace(prepend_scheme="first")), AddedToken("<tool>", **RAW)),
    "Metaspace, never": lambda: sentencepiece(pre=pre_tokenizers.Metaspace(prepend_scheme="never")),
    "Gemma": lambda: with_added(
        sentencepiece(pre=pre_tokenizers.Split(" ", "merged_with_previous"), normalizer=normalizers.Replace(" ", "▁"), specials=("<unk>", "<eos>", "<bos>")),
        *[AddedToken("\n" * n, **RAW) for n in (2, 3, 4)],
    ),
    "Phi-3": lambda: with_added(llama2(), AddedToken("<tool>", normalized=True, special=False)),
    "unknown token, fused": lambda: sentencepiece(pre=pre_tokenizers.Metaspace(), fallback=False),
    "unknown token, not fused": lambda: sentencepiece(pre=pre_tokenizers.Metaspace(), fallback=False, fuse=False),
    "no unknown token": lambda: sentencepiece(pre=pre_tokenizers.Metaspace(split=False), fallback=False, specials=()),
    "lower case, ByteLevel": lambda: byte_level(B(add_prefix_space=False), normalizer=normalizers.Lowercase()),
    "BERT cased": lambda: word_piece(False),
    "BERT uncased": lambda: word_piece(True),
    "T5": unigram,
    "NFKC": lambda: byte_level(B(add_prefix_space=False), normalizer=normalizers.NFKC()),
    "NFD, no accents": lambda: byte_level(
        B(add_prefix_space=False), normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    ),
    "strip": lambda: byte_level(B(add_prefix_space=False), normalizer=normalizers.Strip()),
    "replace by expression": lambda: byte_level(B(add_prefix_space=False), normalizer=normalizers.Replace(Regex(" {2,}"), " ")),
    "BPE of words (Whitespace)": lambda: sentencepiece(pre=pre_tokenizers.Whitespace(), fallback=False),
    "punctuation": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), B(add_prefix_space=False)])),
    "intersection in a class": lambda: split_byte_level(r"[\p{L}&&[^a-c]]+|\s+"),
    "end of the last match": lambda: split_byte_level(r"\G\p{L}"),
    "possessive": lambda: split_byte_level(r"\p{L}++|\s+"),
    "atomic": lambda: split_byte_level(r"(?>\p{L}+)|\s+"),
    "word characters": lambda: split_byte_level(r"\w+|[^\w\s]+"),
    "hexadecimal": lambda: split_byte_level(r"\h+|\H"),
    "anchors": lambda: split_byte_level(r"^\s+|\s+$"),
    "case-blind class": lambda: split_byte_level(r"(?i:[a-c]+)|\s+"),
    "added token with lstrip": lambda: with_added(byte_level(B(add_prefix_space=False)), AddedToken("<tool>", lstrip=True)),
    "added token, single word": lambda: with_added(byte_level(B(add_prefix_space=False)), AddedToken("tool", single_word=True)),
    "dropout": lambda: changed(byte_level(B(add_prefix_space=False)), dropout=0.1),
    "truncation": lambda: (lambda t: (t.enable_truncation(8), t)[1])(byte_level(B(add_prefix_space=False))),
}
GOLDEN_SHAPES = [
    "GPT-2", "BART with prefix space", "GPT-NeoX (NFC, runs of spaces)", "Llama 3", "Qwen 2", "GPT-4o", "split, merged with previous",
    "split, contiguous, inverted", "Llama 2", "Metaspace, first, split", "unknown token, fused", "unknown token, not fused", "no unknown token",
]


def fuzz(count):
    random.seed(7)
    pieces = [" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "a", "Z", "ß", "é", "\u0301", "1", "٣", "鯨", "🐋", "\u200d", "\ufeff", "\u0085", "\u00a0", "\u2581", "<tool>", "</s>", "-", ".", "Σ", "ſ", "\u0000", "the", " of"]
    strings = []
    for _ in range(count):
        parts = random.choices(pieces, k=random.randint(1, 24))
        for _ in range(random.randint(0, 6)):
            point = random.choice([random.randint(0, 0x2FF), random.randint(0, 0xD7FF), random.randint(0xE000, 0x10FFFF)])
            parts.insert(random.randint(0, len(parts)), chr(point))
        strings.append("".join(parts))
    return strings


def every_character():
    points = [point for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    return ["a".join(map(chr, points[start : start + 4096])) for start in range(0, 0x34000, 4096)]


def pieces(tokenizer, text):
    """Lengths of the pre-tokens of the text, added tokens left aside: a wrong cut that no merge crosses changes no id."""
    if tokenizer.normalizer is not None:
        text = tokenizer.normalizer.normalize_str(text)
    return [len(text)] if tokenizer.pre_tokenizer is None else [len(piece) for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


def result(ids):
    return ids if len(ids) < 1000 else hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


strings = [text for text in HARD if len(text) < 120] if GOLDEN else HARD + TEXT[:5] + fuzz(400) + every_character()
shapes = []
for name in GOLDEN_SHAPES if GOLDEN else SHAPES:
    data = json.loads(SHAPES[name]().to_str())
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.encode_special_tokens = True
    shapes.append(
        {
            "name": name,
            "tokenizer": data,
            "ids": [result(tokenizer.encode(text, add_special_tokens=False).ids) for text in strings],
            "pieces": [result(pieces(tokenizer, text)) for text in strings],
        }
    )
json.dump({"version": tokenizers.__version__, "strings": strings, "shapes": shapes}, sys.stdout, separators=(",", ":"))
print()
