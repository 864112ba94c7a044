/**
 * Whether an exported path is in Hugging Face's `transformers` what it is here: the same logits to 1e-4 after every
 * token, the same token ids of a text, the same greedy text. Makes a tiny run with the real commands, trains it with one
 * peer, exports every path, and exports other shapes with weights large enough that every layer matters.
 *
 *     npm run interop:transformers [-- --python /path/to/python3]
 *
 * Needs Python 3.10 or later. A Python that has torch and transformers is used as it is; otherwise both are installed
 * into a virtual environment in a temporary folder, which takes some GB.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { startLocalSwarm } from "../../node/local-swarm.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import type { Tokenizer } from "../../src/data/types.ts";
import { createEngine } from "../../src/engine/engine.ts";
import { exportPaths } from "../../src/use/export.ts";
import { openFolderModel } from "../../src/use/folder-model.ts";
import { generate } from "../../src/use/generate.ts";
import { parameterSpecs } from "../../src/model/parameters.ts";
import type { ModelShape } from "../../src/model/types.ts";
import { type ModelSource, pathParameters } from "../../src/use/path-model.ts";
import { createRandom, type Random } from "../../src/random.ts";
import { createTinyRun, PATHWEAVE } from "../../test/e2e/tiny-run.ts";

const run = promisify(execFile);
const COMPARE = fileURLToPath(new URL("compare_logits.py", import.meta.url));
const LIBRARIES = ["torch", "transformers", "numpy"];
const GREEDY_TOKENS = 24;
const signal = AbortSignal.timeout(1_800_000);

const TEXTS = [
  "",
  " ",
  "Call me Ishmael. Some years ago--never mind how long precisely--",
  "  two spaces before, two after  ",
  "tabs\tand\r\nline breaks\n\n\n",
  "I'll we've they'RE don't 'tis O'Neill's",
  "12345 1.5e-10 0x1F ½ ٣٤٥",
  "naïve café, e\u0301 as two code points",
  "日本語のテキスト。中文文本",
  "שלום עולם مرحبا بالعالم",
  "👩‍👩‍👧‍👦 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
  "zero\u0000 bell\u0007 escape\u001b[31m nbsp\u00a0 zwsp\u200b bom\ufeff",
  "the end <|endoftext|> is text <s> </s>",
  "for (let i = 0; i < n; i++) { a[i] += `${b}`; }",
  "a".repeat(300),
];

/** One comparison, as `compare_logits.py` reads it. */
interface Case {
  name: string;
  folder: string;
  attention: "eager" | "sdpa";
  sequences: number[][];
  logits: string;
  texts: string[];
  ids: number[][];
  /** Whether every text comes back from its ids. */
  lossless: boolean;
  prompt: number[];
  tokens: number;
  written: number[];
}

/** Sequences that are unlike text: all ids, one id, end-of-text everywhere, the outermost ids, and a text. */
function hardSequences(shape: ModelShape, tokenizer: Tokenizer, random: Random): number[][] {
  const { vocabulary, sequenceLength: length } = shape;
  const make = (at: (index: number) => number): number[] => Array.from({ length }, (_, index) => at(index));
  const text = tokenizer.encode(TEXTS.join(" "));
  return [
    make(() => random.integer(vocabulary)),
    make(() => random.integer(vocabulary)),
    make(() => 7),
    make(() => tokenizer.endOfText),
    make((index) => (index % 3 === 0 ? tokenizer.endOfText : random.integer(vocabulary))),
    make((index) => (index % 2 === 0 ? 0 : vocabulary - 1)),
    make((index) => text[index % text.length]!),
  ];
}

async function makeCase(
  root: string,
  name: string,
  folder: string,
  source: ModelSource,
  of: number,
): Promise<Case> {
  const { shape } = source;
  const length = shape.sequenceLength;
  const random = createRandom("interop", name);
  const tokenizer = loadTokenizer(await source.tokenizerJson());
  const parameters = await pathParameters(source, of, signal);
  const sequences = hardSequences(shape, tokenizer, random);
  const engine = await createEngine({ shape, batchSize: length, kind: "compiled", device: "cpu" });
  try {
    const rows: Float32Array[] = [];
    for (const sequence of sequences) {
      // Every row of the batch is the whole sequence, and asks for another position.
      const tokens = Int32Array.from({ length: length * length }, (_, at) => sequence[at % length]!);
      const positions = Int32Array.from({ length }, (_, position) => position);
      rows.push(await engine.logits(parameters, tokens, positions));
    }
    const logits = `${name.replaceAll(/\W+/g, "-")}.f32`;
    await writeFile(path.join(root, logits), Buffer.concat(rows.map((row) => Buffer.from(row.buffer))));
    const prompt = sequences.at(-1)!.slice(0, 8);
    const options = { sequenceLength: length, tokens: GREEDY_TOKENS, temperature: 0, topP: 1, seed: 0 };
    const written: number[] = [];
    for await (const id of generate(engine, parameters, prompt, {
      ...options,
      endOfText: tokenizer.endOfText,
    }))
      written.push(id);
    const ids = TEXTS.map((text) => tokenizer.encode(text));
    const lossless = TEXTS.every((text, index) => tokenizer.decode(ids[index]!) === text);
    const about = { name, folder, attention: of % 2 === 0 ? ("eager" as const) : ("sdpa" as const) };
    return {
      ...about,
      sequences,
      logits,
      texts: TEXTS,
      ids,
      lossless,
      prompt,
      tokens: GREEDY_TOKENS,
      written,
    };
  } finally {
    await engine.close();
  }
}

/** Makes a run, trains it to its end with one peer, and exports it, all with the commands. */
async function realCases(root: string): Promise<{ cases: Case[]; source: ModelSource }> {
  const data = path.join(root, "peer-1");
  say("making a run");
  const id = await createTinyRun(root, data, { training: { rounds: 1, innerSteps: 30 } });
  say("training it");
  const swarm = await startLocalSwarm({ directory: root, peers: 1, run: id, logLevel: "warn", signal });
  try {
    await swarm.complete(signal);
  } finally {
    await swarm.stop();
  }
  say("exporting it");
  const out = path.join(root, "exported");
  const flags = ["--data", data, "--path", "all", "--out", out, "--max-file", "100kB", "--no-mdns"];
  await run(process.execPath, [PATHWEAVE, "export", ...flags]);
  const source = await openFolderModel(data);
  const cases: Case[] = [];
  for (let of = 0; of < source.topology.paths; of++) {
    const generations = source.topology.modulesOfPath(of).map((module) => source.head(module).generation);
    if (generations.some((generation) => generation < 1)) throw new Error(`Path ${of} was not trained.`);
    cases.push(await makeCase(root, `run, path ${of}`, path.join(out, `path-${of}`), source, of));
  }
  return { cases, source };
}

/** Other shapes, with weights of order 1 and a tokenizer.json that would add tokens by itself. */
async function otherCases(root: string, source: ModelSource): Promise<Case[]> {
  const shapes: Partial<ModelShape>[] = [
    { width: 48, heads: 3, hidden: 80, ropeTheta: 100, normEpsilon: 0.1 },
    { width: 64, heads: 1, hidden: 32, ropeTheta: 1e6, normEpsilon: 1e-6, sequenceLength: 96 },
  ];
  const cases: Case[] = [];
  for (const [index, changes] of shapes.entries()) {
    const shape = { ...source.shape, ...changes };
    const weights = largeWeights(shape, createRandom("weights", index));
    const json = Buffer.from(addsTokens(await source.tokenizerJson()));
    const modules = source.topology.modulesOfPath(index);
    const other: ModelSource = {
      ...source,
      shape,
      tokenizerJson: async () => json,
      async parameters(module) {
        const { parts } = source.topology.levels[modules.indexOf(module)]!;
        const own = parameterSpecs(shape).filter(({ part }) => parts.includes(part));
        const last = own.at(-1)!;
        return weights.slice(own[0]!.offset, last.offset + last.size);
      },
    };
    const out = path.join(root, `other-${index}`);
    const options = { force: false, maxFileBytes: 5e9, onProgress: () => {}, signal };
    await exportPaths(other, [index], { out, ...options });
    cases.push(await makeCase(root, `other shape ${index}`, out, other, index));
  }
  return cases;
}

function largeWeights(shape: ModelShape, random: Random): Float32Array {
  const specs = parameterSpecs(shape);
  return Float32Array.from(
    specs.flatMap(({ shape: dimensions, size }) =>
      Array.from({ length: size }, () =>
        dimensions.length === 1 ? 0.5 + random.uniform() : random.normal() / Math.sqrt(dimensions[1]!),
      ),
    ),
  );
}

/** The same tokenizer as people export it from elsewhere: it begins texts with a token, cuts them and fills them up. */
function addsTokens(json: Uint8Array): string {
  const file = JSON.parse(Buffer.from(json).toString()) as {
    added_tokens: { content: string; id: number }[];
  };
  const { content, id } = file.added_tokens[0]!;
  const token = { SpecialToken: { id: content, type_id: 0 } };
  return JSON.stringify({
    ...file,
    post_processor: {
      type: "TemplateProcessing",
      single: [token, { Sequence: { id: "A", type_id: 0 } }],
      pair: [token, { Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { [content]: { id: content, ids: [id], tokens: [content] } },
    },
  });
}

/** A Python with the libraries: the given one as it is, `python3` if it has them, or else one made of it. */
async function findPython(root: string): Promise<string> {
  const given = parseArgs({ options: { python: { type: "string" } } }).values.python;
  const python = given ?? "python3";
  const has = (what: string): Promise<boolean> =>
    run(python, ["-c", what]).then(
      () => true,
      () => false,
    );
  if (!(await has("import sys; sys.exit(sys.version_info < (3, 10))")))
    throw new Error(`${python} is not Python 3.10 or later. Install it, or name another one with --python.`);
  if (await has(`import ${LIBRARIES.join(", ")}`)) return python;
  if (given !== undefined)
    throw new Error(`${python} lacks one of ${LIBRARIES.join(", ")}: pip install them.`);
  say(`installing ${LIBRARIES.join(", ")} into ${root}; this takes some GB and minutes`);
  await run(python, ["-m", "venv", path.join(root, "venv")]);
  const own = path.join(root, "venv", "bin", "python3");
  await run(own, ["-m", "pip", "install", "--quiet", "--no-cache-dir", ...LIBRARIES]);
  return own;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

const root = await mkdtemp(path.join(tmpdir(), "pathweave-interop-"));
try {
  const python = await findPython(root);
  const { cases, source } = await realCases(root);
  cases.push(...(await otherCases(root, source)));
  await writeFile(path.join(root, "cases.json"), JSON.stringify(cases));
  say("comparing");
  const [code] = await once(spawn(python, [COMPARE, root], { stdio: "inherit" }), "exit");
  process.exitCode = code === 0 ? 0 : 1;
} finally {
  await rm(root, { recursive: true, force: true });
}
