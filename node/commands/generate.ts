import { text as readText } from "node:stream/consumers";
import type { CID } from "multiformats/cid";
import type { CommandModule } from "yargs";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import type { Tokenizer } from "../../src/data/types.ts";
import { createEngine } from "../../src/engine/engine.ts";
import type { Engine } from "../../src/engine/types.ts";
import { UsageError } from "../../src/errors.ts";
import { generate } from "../../src/use/generate.ts";
import type { ModelShape } from "../../src/model/types.ts";
import { type ModelSource, pathParameters, routePrompt } from "../../src/use/path-model.ts";
import { createTextStream } from "../../src/use/text-stream.ts";
import type { ObserveCommandFlags } from "../observe.ts";
import { deviceOf, type EngineFlags, engineOptions } from "../options.ts";
import { counted, createProgress, formatBytes, formatJson, printable, type Progress } from "../output.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";
import { describePath, listPaths, modelOptions, useModel } from "../use-model.ts";

interface GenerateFlags extends ObserveCommandFlags, EngineFlags {
  prompt: string;
  length: number;
  temperature: number;
  "top-p": number;
  seed: number;
  path: number | undefined;
}

export const command: CommandModule<object, GenerateFlags> = {
  describe: "Continue a text with the path of the model that fits it",
  builder: (yargs) =>
    yargs
      .positional("prompt", {
        type: "string",
        demandOption: true,
        describe:
          'The text to continue; - reads it from standard input, and a text that begins with a dash needs that; "" begins a document',
      })
      // Else yargs takes the text - for none.
      .nargs("prompt", 1)
      .options({
        length: { type: "number", default: 100, requiresArg: true, describe: "Most tokens to write" },
        temperature: {
          type: "number",
          default: 0.7,
          requiresArg: true,
          describe: "Above 1 more surprising, below 1 more likely; 0 takes the likeliest token",
        },
        "top-p": {
          type: "number",
          default: 0.95,
          requiresArg: true,
          describe: "Choose among the likeliest tokens that have this share of the probability",
        },
        seed: { type: "number", default: 0, requiresArg: true, describe: "Another seed gives another text" },
        path: {
          type: "number",
          requiresArg: true,
          describe: "Use this path; the router picks one when absent",
        },
        ...modelOptions,
        ...engineOptions,
      })
      .example('$0 generate "It was a dark"', "with the run in .pathweave, whether its peer runs or not")
      .example("$0 generate - --length 400 < opening.txt", "a longer text; longer prompts are routed better")
      .example('$0 generate "It was" --invite-file lab.invite --seed 7', "from any machine, with an invite"),
  async handler(flags) {
    checkFlags(flags);
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(process.stderr);
    try {
      await untilInterrupted(shutdown.signal, continueText(flags, progress, shutdown.signal));
    } finally {
      progress[Symbol.dispose]();
      shutdown[Symbol.dispose]();
    }
  },
};

async function continueText(flags: GenerateFlags, progress: Progress, signal: AbortSignal): Promise<void> {
  const prompt = await promptOf(flags);
  const model = await useModel(flags, signal, progress, (source) =>
    prepare(source, prompt, flags, progress, signal),
  );
  const engine = await createEngine({ shape: model.shape, batchSize: 1, ...deviceOf(flags) });
  // The text may go to the same terminal, where progress is shown in place.
  if (!flags.json) progress[Symbol.dispose]();
  let written: Written;
  try {
    written = await write(engine, model, flags, signal, (piece, tokens) => {
      if (flags.json) progress.update(`${tokens} of ${flags.length} tokens`);
      else showText(piece);
    });
  } finally {
    await engine.close();
  }
  const { seed, temperature, "top-p": topP } = flags;
  const { text, tokens, tokensPerSecond, ending } = written;
  if (flags.json) {
    const { run, path, generations, bytesReceived } = model;
    const routed = flags.path === undefined;
    const about = { run, path, routed, generations, bytesReceived };
    const sampling = { seed, temperature, topP };
    const promptTokens = model.prompt.length;
    process.stdout.write(
      `${formatJson({ ...about, prompt, promptTokens, text, tokens, ending, ...sampling, tokensPerSecond })}\n`,
    );
  } else
    process.stderr.write(
      `${counted(tokens, "token")}, ${tokensPerSecond} tokens/s, ` +
        `ended by ${ending === "length" ? "--length" : "the model"}, seed ${seed}\n`,
    );
}

/** All that it takes to write, in memory. */
interface Model {
  run: CID;
  shape: ModelShape;
  tokenizer: Tokenizer;
  /** Token ids. */
  prompt: number[];
  path: number;
  parameters: Float32Array;
  /** By module of the path. */
  generations: Record<string, number>;
  bytesReceived: number;
}

/** Routes the prompt and gets its path, and nothing else. */
async function prepare(
  source: ModelSource,
  text: string,
  flags: GenerateFlags,
  progress: Progress,
  signal: AbortSignal,
): Promise<Model> {
  const { run, shape, topology, manifest } = source;
  if (flags.path !== undefined && flags.path >= topology.paths)
    throw new UsageError(`There is no path ${flags.path}; give one of: ${listPaths(topology)}.`);
  const tokenizer = loadTokenizer(await source.tokenizerJson());
  const prompt = tokenizer.encode(text);
  if (flags.path === undefined && topology.paths > 1) {
    progress.update("routing the prompt");
    const { prefixTokens } = manifest.config.routing;
    if (prompt.length < prefixTokens)
      progress.line(
        `The prompt has ${prompt.length} tokens, and the router reads ${prefixTokens}; a longer prompt finds a better path.`,
      );
  }
  const path =
    flags.path ?? (await routePrompt(source, prompt, tokenizer.endOfText, deviceOf(flags), signal));
  const description = describePath(source, path);
  progress.update(description);
  const generations = Object.fromEntries(
    topology.modulesOfPath(path).map((module) => [module, source.head(module).generation]),
  );
  const parameters = await pathParameters(source, path, signal);
  const bytesReceived = source.bytesReceived();
  progress.update(
    bytesReceived === 0 ? description : `${description}; ${formatBytes(bytesReceived)} received`,
  );
  return { run, shape, tokenizer, prompt, path, parameters, generations, bytesReceived };
}

interface Written {
  text: string;
  tokens: number;
  ending: "end-of-text" | "length";
  tokensPerSecond: number;
}

/** Writes the text; `onPiece` receives it as it comes, and the tokens so far. Throws the signal's reason. */
async function write(
  engine: Engine,
  { shape, tokenizer, prompt, parameters }: Model,
  flags: GenerateFlags,
  signal: AbortSignal,
  onPiece: (piece: string, tokens: number) => void,
): Promise<Written> {
  const { endOfText } = tokenizer;
  const { length, temperature, "top-p": topP, seed } = flags;
  const { sequenceLength } = shape;
  const stream = createTextStream((ids) => tokenizer.decode(ids), prompt);
  let text = "";
  let tokens = 0;
  const add = (piece: string): void => {
    text += piece;
    onPiece(piece, tokens);
  };
  const began = performance.now();
  const options = { sequenceLength, tokens: length, temperature, topP, endOfText, seed, signal };
  for await (const id of generate(engine, parameters, prompt, options)) {
    tokens++;
    add(stream.push(id));
  }
  const seconds = Math.max(1, performance.now() - began) / 1000;
  add(stream.end());
  if (!text.endsWith("\n")) onPiece("\n", tokens);
  signal.throwIfAborted();
  const tokensPerSecond = Math.round((10 * tokens) / seconds) / 10;
  return { text, tokens, ending: tokens < length ? "end-of-text" : "length", tokensPerSecond };
}

function checkFlags(flags: GenerateFlags): void {
  const { length, temperature, "top-p": topP, seed, path } = flags;
  const check = (isRight: boolean, flag: string, expected: string): void => {
    if (!isRight) throw new UsageError(`--${flag} takes ${expected}.`);
  };
  check(Number.isSafeInteger(length) && length >= 1, "length", "a number of tokens, such as 100");
  check(temperature >= 0, "temperature", "a number from 0 on, such as 0.7");
  check(topP > 0 && topP <= 1, "top-p", "a number above 0 and at most 1, such as 0.95");
  check(Number.isSafeInteger(seed), "seed", "a whole number, such as 7");
  check(
    path === undefined || (Number.isSafeInteger(path) && path >= 0),
    "path",
    "the number of a path, from 0",
  );
  deviceOf(flags);
  if (flags.prompt === "-" && flags["invite-file"] === "-")
    throw new UsageError(
      "Standard input can hold the prompt or the invite, not both; give the other as a file or an argument.",
    );
}

/** The prompt as given, or all of standard input without the newline that ends its last line. */
async function promptOf({ prompt }: GenerateFlags): Promise<string> {
  return prompt === "-" ? (await readText(process.stdin)).replace(/\r?\n$/, "") : prompt;
}

/** Weights come from peers, and what they write must not steer the terminal. */
function showText(piece: string): void {
  process.stdout.write(process.stdout.isTTY ? printable(piece) : piece);
}
