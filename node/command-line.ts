/** Runs one of several commands from a command line and an environment. */
import yargs, { type Argv, type CommandModule } from "yargs";
import { InterruptedError, INTERRUPTS, messageOf, PathweaveError, UsageError } from "../src/errors.ts";
import { pathweaveCommand } from "../src/invocation.ts";
import { gatherInvite } from "../src/run/find-invite.ts";
import { nearestName } from "../src/run/nearest.ts";
import { terminalWidth } from "./table.ts";
import { type FlagKind, flagsFromEnvironment } from "./environment.ts";

declare module "yargs" {
  // oxlint-disable-next-line typescript/no-unused-vars -- a merged interface must repeat the type parameter
  interface Argv<T> {
    /** What yargs knows of the options declared so far. */
    getOptions(): { key: Record<string, unknown>; array: string[]; boolean: string[]; number: string[] };
  }
}

/** A command whose module is loaded only when it is run, since the engine and the network are slow to load. */
export interface LazyCommand {
  /** With positional arguments, as in `join <invite>`. */
  usage: string;
  describe: string;
  // Each command has its own arguments, and a handler is contravariant in them.
  // oxlint-disable-next-line typescript/no-explicit-any
  load(): Promise<{ command: CommandModule<any, any> }>;
}

export interface CommandLine {
  name: string;
  version: string;
  commands: LazyCommand[];
  /** Command lines and what they do. */
  examples: [string, string][];
  args: string[];
  environment: Record<string, string | undefined>;
  /** Receives lines about failures. */
  writeError(line: string): void;
}

/**
 * Runs the command and resolves to the exit code: 0, 1 for an expected failure, 2 for a wrong command
 * line, 128 and the signal's number for an interruption. A bug is shown with its stack and is 1, too.
 */
export async function runCommandLine(line: CommandLine): Promise<number> {
  const state: ParserState = { active: undefined };
  try {
    await parser(line, state).parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      line.writeError(`${line.name}: ${messageOf(error)}`);
      return 2;
    }
    // What yargs finds wrong while it parses, it throws past its own handler.
    if (error instanceof Error && error.name === "YError") {
      line.writeError(`${line.name}: ${explain(line, error.message, state.active)}`);
      return 2;
    }
    if (error instanceof InterruptedError) {
      // The reader that closed the pipe wants no more lines.
      if (error.signal !== "SIGPIPE") line.writeError(`${line.name}: ${error.message}`);
      return 128 + INTERRUPTS[error.signal];
    }
    if (error instanceof PathweaveError) {
      // A run file can have several problems, each on its own line.
      line.writeError(`${line.name}: ${error.message}`);
      return 1;
    }
    line.writeError(`${line.name}: this is a bug; please report it with the lines below.`);
    line.writeError(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }
}

interface ParserState {
  /** Set once a command is recognised. */
  active: { command: LazyCommand; flags: Map<string, FlagKind> } | undefined;
}

function parser(line: CommandLine, state: ParserState): Argv {
  const { name, commands } = line;
  const args = gatherInvite(line.args);

  let y = yargs(args)
    .scriptName(name)
    .version(line.version)
    .locale("en")
    .exitProcess(false)
    .strict()
    .demandCommand(1, "Give a command.")
    .alias({ h: "help" })
    .epilogue(
      `Every flag has an environment variable: --log-level is PATHWEAVE_LOG_LEVEL.${
        pathweaveCommand("") === `${name} `
          ? ""
          : `\nWhere these lines say ${name}, write here: ${pathweaveCommand("").trim()}`
      }`,
    )
    .fail((message, error) => {
      // A thrown failure comes with its error, a wrong command line with a message only.
      throw (error as Error | undefined) ?? new UsageError(explain(line, message, state.active));
    });
  y = y.wrap(Math.min(100, terminalWidth()));
  for (const [usage, description] of line.examples) y = y.example(usage, description);
  for (const command of commands)
    y = y.command(
      command.usage,
      command.describe,
      async (inner) => {
        const { command: module } = await command.load();
        const built = await declare(inner, module);
        const flags = flagsOf(built, command);
        state.active = { command, flags };
        return built.config(await flagsFromEnvironment(line.environment, flags, () => flagsOfAll(commands)));
      },
      async (argv) => {
        if (state.active !== undefined) checkValues(argv, state.active.flags, args);
        const { command: module } = await command.load();
        await module.handler(argv);
      },
    );
  return y;
}

async function declare(y: Argv, { builder }: CommandModule): Promise<Argv> {
  if (typeof builder === "function") return builder(y);
  return builder === undefined ? y : y.options(builder);
}

function flagsOf(y: Argv, { usage }: LazyCommand): Map<string, FlagKind> {
  const { key, array, boolean, number } = y.getOptions();
  const kindOf = (flag: string): FlagKind => {
    if (array.includes(flag)) return "array";
    if (boolean.includes(flag)) return "boolean";
    return number.includes(flag) ? "number" : "string";
  };
  // Positional arguments are options to yargs, and names of one letter are aliases.
  const other = new Set(["help", "version", ...(usage.match(/(?<=[<[])[a-z-]+/g) ?? [])]);
  const own = Object.keys(key).filter((flag) => !other.has(flag) && flag.length > 1);
  return new Map(own.map((flag) => [flag, kindOf(flag)]));
}

async function flagsOfAll(commands: LazyCommand[]): Promise<string[]> {
  const flags = await Promise.all(
    commands.map(async (command) => {
      const { command: module } = await command.load();
      return [...flagsOf(await declare(yargs([]), module), command).keys()];
    }),
  );
  return flags.flat();
}

/**
 * yargs takes any word for a number and a list's default for nothing, and makes an array of a flag that is given twice, unless its
 * first value is 0, which it forgets.
 */
function checkValues(
  argv: Record<string, unknown>,
  flags: ReadonlyMap<string, FlagKind>,
  args: readonly string[],
): void {
  const words = args.slice(0, args.includes("--") ? args.indexOf("--") : undefined);
  for (const [flag, kind] of flags) {
    const value = argv[flag];
    const times = words.filter((word) => word === `--${flag}` || word.startsWith(`--${flag}=`)).length;
    const isBare = words.some(
      (word, at) => word === `--${flag}` && (words[at + 1] === undefined || /^--?\w/.test(words[at + 1]!)),
    );
    if ((kind === "array" && isBare) || (kind === "string" && value === ""))
      throw new UsageError(`--${flag} needs a value.`);
    if (kind !== "array" && (Array.isArray(value) || (kind === "number" && times > 1)))
      throw new UsageError(`--${flag} is given more than once; give it once.`);
    if (kind === "number" && value !== undefined && !Number.isFinite(value))
      throw new UsageError(`--${flag} takes a number, such as --${flag} 1.`);
  }
}

function wordOf(usage: string): string {
  return usage.split(" ")[0] ?? usage;
}

/** What yargs found wrong, in one sentence that names the nearest right word. */
function explain(
  { name, args, commands }: CommandLine,
  message: string,
  active: ParserState["active"],
): string {
  const help = `See "${pathweaveCommand(active === undefined ? "--help" : `${wordOf(active.command.usage)} --help`)}".`;
  const unknown = /^Unknown (?:argument|command)s?: ([^,\s]+)/.exec(message)?.[1];
  if (unknown !== undefined) {
    const isFlag = args.some(
      (arg) => arg === `--${unknown}` || arg.startsWith(`--${unknown}=`) || arg === `-${unknown}`,
    );
    if (isFlag) {
      const flags = [...(active?.flags.keys() ?? []), "help", "version"];
      return `--${unknown} is not a flag; did you mean --${nearestName(unknown, flags)}? ${help}`;
    }
    if (active !== undefined)
      return `"${unknown}" is one word too many; usage: ${name} ${active.command.usage}. ${help}`;
    const nearest = nearestName(
      unknown,
      commands.map(({ usage }) => wordOf(usage)),
    );
    return `"${unknown}" is not a command; did you mean "${nearest}"? ${help}`;
  }
  if (active !== undefined && message.startsWith("Not enough non-option arguments"))
    return `Something is missing; usage: ${name} ${active.command.usage}. ${help}`;
  const bare = /^Not enough arguments following: (\S+)$/.exec(message)?.[1];
  if (bare !== undefined) return `--${bare} needs a value. ${help}`;
  // What a command asks for in its own words.
  const asked = /^Missing required arguments?: .*\n([^]+)/.exec(message)?.[1];
  const oneLine = messageOf(asked ?? message);
  return `${oneLine}${/[.!?]$/.test(oneLine) ? "" : "."} ${help}`;
}
