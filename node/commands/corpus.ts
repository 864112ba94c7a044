import stringWidth from "string-width";
import type { CommandModule } from "yargs";
import { describeSkipped, requireAll } from "../../src/data/skipped.ts";
import { CorpusError, UsageError } from "../../src/errors.ts";
import { type InspectedCorpus, type InspectInit, inspectCorpus } from "../../src/create/inspect-corpus.ts";
import { encodingName, EXPECTED_ENCODING } from "../../src/run/encoding-name.ts";
import { readRunFile } from "../../src/run/run-file.ts";
import { outputOptions } from "../options.ts";
import { createProgress, formatJson, plain } from "../output.ts";

/** The tokenizer of a run that says nothing else. */
const VOCABULARY = 2048;
const LINE_COLUMNS = 72;
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

interface CorpusFlags {
  files: string[];
  "text-field": string[] | undefined;
  encoding: string | undefined;
  strict: boolean;
  json: boolean;
}

export const command: CommandModule<object, CorpusFlags> = {
  describe: "Show what create would read of a corpus, without making a run",
  builder: (yargs) =>
    yargs
      .positional("files", {
        type: "string",
        array: true,
        demandOption: true,
        describe: "A run's YAML file, or files, folders and globs",
      })
      .options(outputOptions)
      .option("text-field", {
        type: "string",
        // Any number of times, one name each: what follows it are files.
        nargs: 1,
        array: true,
        requiresArg: true,
        describe: "Field, column or dotted path that holds the text of records",
      })
      .option("encoding", {
        type: "string",
        requiresArg: true,
        describe: "Encoding of files that are neither UTF-8 nor UTF-16, such as windows-1252",
      })
      .option("strict", {
        type: "boolean",
        default: false,
        describe: "Exit with an error when any file or record cannot be read",
      })
      .example("$0 corpus run.yaml", "what create run.yaml would read")
      .example("$0 corpus 'texts/**/*.md' pages.jsonl", "what is in these files")
      .example("$0 corpus mails --encoding windows-1252 --json", "the same for programs"),
  async handler(flags) {
    const { json, strict } = flags;
    const progress = createProgress(json ? process.stderr : process.stdout);
    const found = await inspectCorpus({
      ...(await inputOf(flags)),
      onProgress: ({ stage, done }) => progress.update(`${stage}: ${done.toLocaleString("en")} documents`),
    });
    const { skipped, duplicates } = found;
    if (!json) for (const line of describeCorpus(found)) progress.line(line);
    progress[Symbol.dispose]();
    if (json)
      process.stdout.write(
        `${formatJson({
          documents: found.documents,
          characters: found.characters,
          tokens: found.tokens,
          vocabulary: found.vocabulary,
          duplicates: duplicates.copies + duplicates.nearCopies,
          ...duplicates,
          skipped: skipped.entries,
          skippedCount: skipped.total,
          first: found.first.map(({ source, text }) => ({ source, start: firstLine(text) })),
        })}\n`,
      );
    if (found.documents === 0)
      throw new CorpusError(
        "None of these files has text that create can read; the reasons are above. See docs/run-file.md.",
      );
    if (strict) requireAll(skipped);
  },
};

async function inputOf(flags: CorpusFlags): Promise<Omit<InspectInit, "onProgress">> {
  const [only] = flags.files;
  const run = flags.files.length === 1 && /\.ya?ml$/i.test(only!) ? await readRunFile(only!) : undefined;
  const encoding = flags.encoding === undefined ? run?.encoding : encodingName(flags.encoding);
  if (flags.encoding !== undefined && encoding === undefined)
    throw new UsageError(
      `--encoding is ${JSON.stringify(flags.encoding.slice(0, 40))}; ${EXPECTED_ENCODING}.`,
    );
  return {
    corpus: run?.corpus ?? flags.files,
    textFields: flags["text-field"] ?? run?.textFields,
    encoding,
    tokenizer: run?.tokenizer,
    vocabulary: run?.config.model.vocabulary ?? VOCABULARY,
  };
}

/** What is in a corpus, line by line. */
export function describeCorpus(found: InspectedCorpus): string[] {
  const { documents, characters, tokens, vocabulary, duplicates, skipped, first } = found;
  const number = (value: number): string => value.toLocaleString("en");
  const counts = [
    `documents   ${number(documents)}`,
    `characters  ${number(characters)}`,
    `tokens      ${number(tokens)}, by a tokenizer of ${number(vocabulary)} entries`,
    `duplicates  ${number(duplicates.copies)} copies, which count once; ${number(duplicates.nearCopies)} near-copies`,
  ];
  const shown = first.flatMap(({ source, text }) => ["", `${plain(source)}:`, `  ${firstLine(text)}`]);
  return [...(documents === 0 ? [] : counts), ...describeSkipped(skipped), ...shown];
}

/** The first line with anything on it, cut to fit a terminal. */
function firstLine(text: string): string {
  const line = plain(/\S[^\n]*/.exec(text)?.[0] ?? "").trimEnd();
  if (stringWidth(line) <= LINE_COLUMNS) return line;
  let start = "";
  let width = 1;
  for (const { segment } of graphemes.segment(line)) {
    width += stringWidth(segment);
    if (width > LINE_COLUMNS) break;
    start += segment;
  }
  return `${start}…`;
}
