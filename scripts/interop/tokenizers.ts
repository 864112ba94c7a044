/**
 * Compares what a text becomes here with what Hugging Face's Rust library makes of it, for tokenizers in the shapes that are
 * published: the same ids, or refused by name. Needs Python 3 with `tokenizers` (`pip install tokenizers`); `PYTHON` names
 * another interpreter. `--file` reads what `tokenizer_shapes.py` wrote before.
 */
import { spawnSync } from "node:child_process";
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createNormalizer } from "../../src/data/normalizer.ts";
import { createPreTokenizer } from "../../src/data/pre-tokenizer.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { CorpusError } from "../../src/errors.ts";

/** Shapes that are refused, and the word of the error that says why. */
const REFUSED: Record<string, string> = {
  "BERT cased": "model WordPiece",
  "BERT uncased": "model WordPiece",
  T5: "model Unigram",
  NFKC: "normalizer NFKC",
  "NFD, no accents": "normalizer NFD",
  strip: "normalizer Strip",
  "replace by expression": "normalizer Replace",
  "BPE of words (Whitespace)": "pre-tokenizer Whitespace",
  punctuation: "pre-tokenizer Punctuation",
  "intersection in a class": "&& inside of a class",
  "end of the last match": String.raw`\G`,
  possessive: "possessive quantifier",
  atomic: "(?>",
  "word characters": String.raw`\w`,
  hexadecimal: String.raw`\h`,
  anchors: "^",
  "case-blind class": "where case is ignored",
  "added token with lstrip": "lstrip",
  "added token, single word": "single_word",
  dropout: "dropout",
  truncation: "truncation",
};

interface Shapes {
  version: string;
  strings: string[];
  /** For each string its ids, and the lengths of its pre-tokens in characters; of many numbers the SHA-256. */
  shapes: {
    name: string;
    tokenizer: { normalizer: unknown; pre_tokenizer: unknown };
    ids: (number[] | string)[];
    pieces: (number[] | string)[];
  }[];
}

function readShapes(): Shapes {
  const file = process.argv.indexOf("--file");
  if (file !== -1) return JSON.parse(readFileSync(process.argv[file + 1]!, "utf8")) as Shapes;
  const python = process.env["PYTHON"] ?? "python3";
  const script = path.join(import.meta.dirname, "tokenizer_shapes.py");
  const { status, stdout, stderr, error } = spawnSync(python, [script], {
    maxBuffer: 1 << 30,
    encoding: "utf8",
  });
  if (status !== 0) {
    process.stderr.write(
      `${stderr ?? error?.message}\nThis needs Python 3 with: ${python} -m pip install tokenizers\n`,
    );
    process.exit(1);
  }
  return JSON.parse(stdout) as Shapes;
}

function isEqual(here: number[], rust: number[] | string): boolean {
  const ids = here.join();
  return typeof rust === "string" ? hash("sha256", ids) === rust : ids === rust.join();
}

const { version, strings, shapes } = readShapes();
const characters = strings.reduce((sum, text) => sum + text.length, 0);
process.stdout.write(
  `tokenizers ${version}, Node.js ${process.version}, Unicode ${process.versions.unicode}, ${characters} characters\n`,
);
let failures = 0;
for (const { name, tokenizer: json, ids, pieces } of shapes) {
  const expected = REFUSED[name];
  let outcome: string;
  try {
    const tokenizer = loadTokenizer(JSON.stringify(json));
    const { cut, bytes } = createPreTokenizer(json.pre_tokenizer);
    const normalize = createNormalizer(json.normalizer);
    const lengthsOf = (text: string): number[] =>
      cut(normalize(text), true).map((piece) =>
        bytes ? Buffer.byteLength(piece) : Array.from(piece).length,
      );
    const wrong = strings.filter(
      (text, index) =>
        !isEqual(tokenizer.encode(text), ids[index]!) ||
        // Nothing of a text cuts nothing.
        (text !== "" && !isEqual(lengthsOf(text), pieces[index]!)),
    );
    outcome = `${strings.length - wrong.length} of ${strings.length} strings equal`;
    if (wrong.length > 0 || expected !== undefined) failures++;
    for (const text of wrong.slice(0, 3))
      outcome += `\n    ${JSON.stringify(text).slice(0, 200)}\n      here ${tokenizer.encode(text).join().slice(0, 300)}\n      Rust ${String(ids[strings.indexOf(text)]).slice(0, 300)}`;
    if (expected !== undefined) outcome += ", but it was to be refused";
  } catch (error) {
    if (!(error instanceof CorpusError)) throw error;
    outcome = error.message.split(" is not supported")[0]!;
    if (expected === undefined || !error.message.includes(expected)) failures++;
    else outcome = `refused: ${outcome}`;
  }
  process.stdout.write(`${name.padEnd(38)} ${outcome}\n`);
}
process.stdout.write(
  failures === 0 ? "All shapes are equal or refused by name.\n" : `${failures} shapes differ.\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
