/**
 * Reads the YAML file that describes a run: the keys of `RunConfig`, and beside them `corpus`, how
 * it is read, and `tokenizer`. Every problem is reported with its line and what was expected.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isMap, isSeq, LineCounter, type Node, parseDocument, type Scalar } from "yaml";
import { ManifestError, messageOf } from "../errors.ts";
import { type RunConfig, runConfigSchema } from "../objects/config.ts";
import { encodingName, EXPECTED_ENCODING } from "./encoding-name.ts";
import { defaultLevels } from "./levels.ts";
import { type Problem, throwProblems } from "./problem.ts";
import { runFileSchema, schemaProblems } from "./run-schema.ts";
import type { RunFile } from "./types.ts";
import { configProblems } from "./validate.ts";

const MAX_BYTES = 1 << 20;
/** A byte-level tokenizer has every byte and end-of-text. */
const SMALLEST_VOCABULARY = 257;

/** Reads and checks a run file. Throws ManifestError. */
export async function readRunFile(path: string): Promise<RunFile> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new ManifestError(
      `${whyUnread(path, error)} Give the path of a YAML file; docs/run-file.md has examples.`,
    );
  }
  return parseRunFile(text, path);
}

function whyUnread(path: string, error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return `There is no run file ${path}.`;
  if (code === "EISDIR") return `${path} is a folder, not a run file.`;
  return `The run file cannot be read: ${messageOf(error)}.`;
}

/**
 * Parses and checks a run file; `path` is named in errors, and corpus and tokenizer are resolved
 * against its folder. Throws ManifestError with one line per problem, in the order of the file.
 */
export function parseRunFile(text: string, path: string): RunFile {
  if (text.length > MAX_BYTES)
    throw new ManifestError(`${path}: the run file is over 1 MiB; the corpus belongs in files of its own.`);
  const lines = new LineCounter();
  const attempt = <T>(task: () => T): T => {
    try {
      return task();
    } catch {
      throw new ManifestError(
        `${path}: the run file is nested too deeply, or an alias in it stands for itself or for too much; write it out.`,
      );
    }
  };
  const options = { lineCounter: lines, prettyErrors: false, stringKeys: true } as const;
  const document = attempt(() => parseDocument(text, options));
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}: `;
  };
  const syntax = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  if (syntax.length > 0)
    throw new ManifestError(
      syntax.map((e) => `${place(e.pos[0])}${messageOf(e).replace(/\.?$/, ".")}`).join("\n"),
    );

  const fail = (problems: Problem[]): void => {
    const placed = problems.map((problem) => ({
      ...problem,
      offset: offsetOf(document.contents, problem.path),
    }));
    const offsetless = text.length;
    throwProblems(
      placed.toSorted((a, b) => (a.offset ?? offsetless) - (b.offset ?? offsetless)),
      ({ offset }) => (offset === undefined ? `${path}: ` : place(offset)),
    );
  };

  const value: unknown = attempt(() => document.toJS()) ?? {};
  attempt(() => JSON.stringify(value));
  const parsed = runFileSchema.safeParse(value);
  if (!parsed.success) {
    fail(schemaProblems(parsed.error, value));
    throw parsed.error;
  }
  const { corpus, textField, encoding, tokenizer, levels: given, ...rest } = parsed.data;
  const levels = given ?? defaultLevels(rest.grid, rest.model.blocks);
  if (levels === undefined) {
    const message = `model.blocks is ${rest.model.blocks}, fewer than the axes of the grid; add blocks or list the levels.`;
    fail([{ path: ["model", "blocks"], message }]);
  }
  const config: RunConfig = runConfigSchema.parse({ ...rest, levels });
  const { vocabulary } = config.model;
  const problems = configProblems(config);
  if (tokenizer === undefined && vocabulary < SMALLEST_VOCABULARY)
    problems.push({
      path: ["model", "vocabulary"],
      message: `model.vocabulary is ${vocabulary}; expected at least ${SMALLEST_VOCABULARY} (every byte and end-of-text), or a tokenizer.`,
    });
  if (encoding !== undefined && encodingName(encoding) === undefined)
    problems.push({
      path: ["encoding"],
      message: `encoding is ${JSON.stringify(encoding.slice(0, 40))}; ${EXPECTED_ENCODING}.`,
    });
  fail(problems);
  const folder = dirname(resolve(path));
  return {
    config,
    corpus: [corpus].flat().map((pattern) => resolve(folder, pattern)),
    textFields: textField === undefined ? undefined : [textField].flat(),
    encoding: encoding === undefined ? undefined : encodingName(encoding),
    tokenizer: tokenizer === undefined ? undefined : resolve(folder, tokenizer),
  };
}

/**
 * Where a key, or an item of a list, starts. A key that the file lacks is placed at the nearest section
 * that it does have; undefined when even that is the whole file.
 */
function offsetOf(root: Node | null, path: readonly PropertyKey[]): number | undefined {
  let node: unknown = root;
  let offset: number | undefined;
  for (const key of path) {
    if (isMap<Scalar, Node | null>(node)) {
      const pair = node.items.find((item) => item.key.value === key);
      if (pair === undefined) return offset;
      offset = pair.key.range?.[0];
      node = pair.value;
    } else if (isSeq<Node>(node) && typeof key === "number") {
      const item = node.items[key];
      offset = item?.range?.[0] ?? offset;
      node = item;
    } else return offset;
  }
  return offset;
}
