import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommandModule } from "yargs";
import { type LazyCommand, runCommandLine } from "../../../node/command-line.ts";
import { dataOptions, engineOptions, networkOptions, outputOptions } from "../../../node/options.ts";
import { ManifestError } from "../../../src/errors.ts";

/** Runs `args` against two commands that record what they were given. */
async function run(args: string[], environment: Record<string, string> = {}, failure?: Error) {
  const calls: Record<string, unknown>[] = [];
  const errors: string[] = [];
  const loaded: string[] = [];
  const handler = (argv: Record<string, unknown>): void => {
    calls.push(argv);
    if (failure !== undefined) throw failure;
  };
  const lazy = (usage: string, builder: NonNullable<CommandModule["builder"]>): LazyCommand => ({
    usage,
    describe: "test",
    load: async () => {
      loaded.push(usage);
      return { command: { builder, handler } };
    },
  });
  const code = await runCommandLine({
    name: "pathweave",
    version: "0.0.0",
    commands: [
      lazy("join <invite>", (y) =>
        y
          .positional("invite", { type: "string" })
          .options({ ...dataOptions, ...networkOptions, ...engineOptions, ...outputOptions }),
      ),
      lazy("export", { out: { type: "string", demandOption: "Give --out, the folder." } }),
      lazy("status", { ...outputOptions, every: { type: "number", requiresArg: true } }),
    ],
    examples: [],
    args,
    environment,
    writeError: (line) => errors.push(line),
  });
  return { code, errors, loaded, argv: calls[0] };
}

test("flags have their defaults and types", async () => {
  const { code, argv, loaded } = await run([
    "join",
    "i",
    "--listen",
    "/a",
    "--listen",
    "/b",
    "--threads=2",
    "--no-mdns",
  ]);
  assert.equal(code, 0);
  assert.ok(
    loaded.every((usage) => usage === "join <invite>"),
    "only the command that runs is loaded",
  );
  assert.equal(argv?.["invite"], "i");
  assert.deepEqual(argv?.["listen"], ["/a", "/b"]);
  assert.deepEqual(argv?.["bootstrap"], []);
  assert.equal(argv?.["threads"], 2);
  assert.equal(argv?.["mdns"], false);
  assert.equal(argv?.["logLevel"], "warn");
  assert.equal(argv?.["json"], false);
});

test("the environment mirrors flags, and a flag that is given wins", async () => {
  const environment = {
    PATHWEAVE_LOG_LEVEL: "debug",
    PATHWEAVE_THREADS: "3",
    PATHWEAVE_MDNS: "false",
    PATHWEAVE_LISTEN: "/a, /b",
    PATHWEAVE_DATA: "there",
    HOME: "/",
    PATHWEAVE_BOOTSTRAP_LISTEN: "of the bootstrap node",
  };
  const { argv } = await run(["join", "i", "--data", "here", "--listen", "/c"], environment);
  assert.equal(argv?.["logLevel"], "debug");
  assert.equal(argv?.["threads"], 3);
  assert.equal(argv?.["mdns"], false);
  assert.deepEqual(argv?.["listen"], ["/c"]);
  assert.equal(argv?.["data"], "here");
  assert.deepEqual((await run(["join", "i"], environment)).argv?.["listen"], ["/a", "/b"]);
});

test("a variable of another command's flag is passed over", async () => {
  const { code, argv } = await run(["status"], { PATHWEAVE_THREADS: "3", PATHWEAVE_EVERY: "5" });
  assert.equal(code, 0);
  assert.equal(argv?.["every"], 5);
  assert.equal(argv?.["threads"], undefined);
});

const wrong: [string, string[], Record<string, string>, RegExp][] = [
  [
    "a misspelt flag",
    ["join", "i", "--thraeds", "2"],
    {},
    /--thraeds is not a flag; did you mean --threads\? See "npm run pathweave -- join --help"/,
  ],
  ["a misspelt flag with a value", ["join", "i", "--logLvel=debug"], {}, /did you mean --log-level\?/],
  [
    "a misspelt command",
    ["jion", "i"],
    {},
    /"jion" is not a command; did you mean "join"\? See "npm run pathweave -- --help"/,
  ],
  ["no command", [], {}, /Give a command/],
  ["a missing argument", ["join"], {}, /Something is missing; usage: pathweave join <invite>/],
  [
    "an argument too many",
    ["join", "i", "j"],
    {},
    /"j" is one word too many; usage: pathweave join <invite>/,
  ],
  [
    "a flag without its value",
    ["join", "i", "--data"],
    {},
    /: --data needs a value\. See "npm run pathweave -- join --help"\.$/,
  ],
  ["a flag without its value before another", ["join", "i", "--data", "--json"], {}, /--data needs a value/],
  ["a list without values", ["join", "i", "--listen", "--json"], {}, /--listen needs a value/],
  [
    "a missing flag",
    ["export"],
    {},
    /: Give --out, the folder\. See "npm run pathweave -- export --help"\.$/,
  ],
  [
    "a number given twice, first 0",
    ["join", "i", "--threads", "0", "--threads=1"],
    {},
    /given more than once/,
  ],
  ["a word for a number", ["join", "i", "--threads", "all"], {}, /--threads takes a number/],
  ["a flag given twice", ["join", "i", "--data", "a", "--data", "b"], {}, /--data is given more than once/],
  ["an empty value", ["join", "i", "--data", ""], {}, /--data needs a value/],
  ["a wrong choice", ["join", "i", "--log-level", "loud"], {}, /log-level.*"loud".*"debug"/],
  [
    "a wrong choice in the environment",
    ["join", "i"],
    { PATHWEAVE_LOG_LEVEL: "loud" },
    /log-level.*"loud".*"debug"/,
  ],
  [
    "a misspelt variable",
    ["join", "i"],
    { PATHWEAVE_THREDS: "2" },
    /PATHWEAVE_THREDS mirrors no flag; did you mean PATHWEAVE_THREADS\?/,
  ],
  [
    "a misspelt variable of another command",
    ["join", "i"],
    { PATHWEAVE_EVRY: "2" },
    /did you mean PATHWEAVE_EVERY\?/,
  ],
  [
    "a variable that is no number",
    ["join", "i"],
    { PATHWEAVE_THREADS: "" },
    /PATHWEAVE_THREADS is ""; expected a number/,
  ],
  [
    "a variable that is no boolean",
    ["join", "i"],
    { PATHWEAVE_MDNS: "yes" },
    /PATHWEAVE_MDNS is "yes"; expected true or false/,
  ],
];
for (const [name, args, environment, message] of wrong)
  test(`${name} is one line and exit code 2`, async () => {
    const { code, errors, argv } = await run(args, environment);
    assert.equal(errors.length, 1, errors.join("\n"));
    assert.match(errors[0]!, /^pathweave: [^\n]+$/);
    assert.match(errors[0]!, message);
    assert.equal(code, 2);
    assert.equal(argv, undefined, "the command must not run");
  });

test("an expected failure is its message and exit code 1", async () => {
  const { code, errors } = await run(["status"], {}, new ManifestError("a.yaml:1:1: one.\na.yaml:2:1: two."));
  assert.deepEqual(errors, ["pathweave: a.yaml:1:1: one.\na.yaml:2:1: two."]);
  assert.equal(code, 1);
});

test("a bug keeps its stack and is exit code 1", async () => {
  const { code, errors } = await run(["status"], {}, new TypeError("x is undefined"));
  assert.match(errors.join("\n"), /this is a bug.*\nTypeError: x is undefined\n +at /);
  assert.equal(code, 1);
});
