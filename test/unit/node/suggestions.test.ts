/** Every command and flag that a text of ours names exists, and what is suggested works where the user is. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import yargs, { type CommandModule } from "yargs";
import { join } from "node:path";
import { afterwards } from "../../../node/demo/report.ts";
import { dataOptions } from "../../../node/options.ts";
import { dataFlag, invocationOf, pathweaveCommand, quoted } from "../../../src/invocation.ts";

const root = new URL("../../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");

/** Commands by name, with their flags as users write them. */
async function commandTable(): Promise<Map<string, Set<string>>> {
  const table = new Map<string, Set<string>>();
  for (const [, usage, file] of read("node/pathweave.ts").matchAll(
    /usage: "([^"]+)"[\s\S]*?import\("(\.\/commands\/[^"]+)"\)/g,
  )) {
    const { command } = (await import(new URL(`node/${file}`, root).href)) as { command: CommandModule };
    const y =
      typeof command.builder === "function"
        ? await command.builder(yargs([]))
        : yargs([]).options(command.builder ?? {});
    const { key, boolean } = y.getOptions();
    const flags = Object.keys(key).flatMap((flag) =>
      boolean.includes(flag) ? [flag, `no-${flag}`] : [flag],
    );
    table.set(usage!.split(" ")[0]!, new Set([...flags, "help", "version"]));
  }
  return table;
}

/** What strings of the source say: comments, imports and code are nobody's advice. */
function textsOf(file: string): string[] {
  const tokens = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return [...read(file).matchAll(tokens)].map(([token]) => token).filter((token) => /^["`]/.test(token));
}

const files = globSync(["src/**/*.ts", "node/**/*.ts", "bootstrap/**/*.ts"], { cwd: root });
/** Flags of Node.js, npm and of our helper programs, and of the bootstrap node beside its own. */
const FOREIGN = new Set(["import", "onnxruntime-node-install", "slots", "input-type", "max-old-space-size"]);

test("every command and flag in a text of the source exists", async () => {
  const table = await commandTable();
  assert.ok(table.size >= 9, "the table is read");
  const bootstrap = new Set(
    [...read("bootstrap/options.ts").matchAll(/^ {2}"?([a-z-]+)"?: \{/gm)].map(([, flag]) => flag!),
  );
  const all = new Set([...[...table.values()].flatMap((flags) => [...flags]), ...bootstrap, ...FOREIGN]);
  let commands = 0;
  for (const file of files)
    for (const text of textsOf(file)) {
      for (const [, flag] of text.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g))
        assert.ok(all.has(flag!), `${file}: there is no --${flag} (${text})`);
      const named = text.matchAll(
        /(?:(?<![\w/.@-])pathweave |\$0 |pathweaveCommand\w*\(["'])([a-z]+)((?: --?[\w-]+)*)/g,
      );
      for (const [, command, rest] of named) {
        if (!table.has(command!)) {
          // Words of a sentence about the program, such as "pathweave is run here as".
          assert.match(text, /pathweave (is|prints)\b/, `${file}: there is no command ${command} (${text})`);
          continue;
        }
        commands++;
        for (const [, flag] of rest!.matchAll(/--([a-z][a-z-]+)/g))
          assert.ok(table.get(command!)!.has(flag!), `${file}: ${command} has no --${flag}`);
      }
    }
  assert.ok(commands >= 30, `only ${commands} commands were found, so the search is broken`);
});

test("commands that are suggested through the helper exist, too", async () => {
  const table = await commandTable();
  let found = 0;
  for (const file of files) {
    for (const [, words] of read(file).matchAll(/pathweaveCommand(?:Elsewhere)?\(\s*["'`]([^"'`]*)/g)) {
      const [command, ...rest] = words!.split(" ");
      if (!/^[a-z]/.test(command!)) continue;
      found++;
      const flags = table.get(command!);
      assert.ok(flags, `${file} suggests ${words}`);
      for (const word of rest)
        if (word.startsWith("--")) assert.ok(flags.has(word.slice(2)), `${file}: ${words}`);
    }
  }
  assert.ok(found >= 5);
});

const surroundings = (changes: Partial<Parameters<typeof invocationOf>[0]>) => ({
  root: join("/", "home", "me", "pathweave"),
  program: join("/", "home", "me", "pathweave", "node", "launch.js"),
  cwd: join("/", "home", "me", "pathweave"),
  environment: { PATH: "/usr/bin:/home/me/pathweave/node_modules/.bin" },
  isExecutable: () => false,
  ...changes,
});

test("a command is suggested in the form that works where the user is", () => {
  assert.equal(invocationOf(surroundings({})), "npm run pathweave --");
  assert.equal(invocationOf(surroundings({ cwd: "/home/me/pathweave/docs" })), "npm run pathweave --");
  assert.equal(
    invocationOf(surroundings({ cwd: "/home/me/pathweave-runs" })),
    "node /home/me/pathweave/node/launch.js",
  );
  assert.equal(
    invocationOf(
      surroundings({
        root: "/home/me/my project",
        program: "/home/me/my project/node/launch.js",
        cwd: "/tmp",
      }),
    ),
    "node '/home/me/my project/node/launch.js'",
  );
  const inApp = { root: "/srv/app/node_modules/pathweave", program: "/srv/app/node_modules/pathweave/l.js" };
  const installed = { ...inApp, cwd: "/srv/app/runs" };
  const linked = { ...inApp, root: "/srv/app/node_modules/.pnpm/pathweave@1/node_modules/pathweave" };
  assert.equal(invocationOf(surroundings({ ...linked, cwd: "/srv/app" })), "npx pathweave");
  // npx looks for it in the folder where it runs and in those above, and else in the registry.
  for (const cwd of ["/srv", "/home/me", "/srv/application"])
    assert.equal(invocationOf(surroundings({ ...inApp, cwd })), "node /srv/app/node_modules/pathweave/l.js");
  assert.equal(invocationOf(surroundings(installed)), "npx pathweave");
  const global = { isExecutable: (file: string) => file === join("/usr/bin", "pathweave") };
  assert.equal(invocationOf(surroundings({ ...installed, ...global })), "pathweave");
  // The folder that npm adds for the time of a script is no installation.
  const passing = { isExecutable: (file: string) => file.includes(".bin") };
  assert.equal(invocationOf(surroundings({ ...installed, ...passing })), "npx pathweave");
});

test("the folder of a peer is named unless it is the default", () => {
  assert.deepEqual(dataFlag(dataOptions.data.default), []);
  assert.deepEqual(dataFlag("lab"), ["--data", "lab"]);
});

test("the demo ends with how its model can be used", () => {
  const kept = afterwards("lab").join("\n");
  assert.match(kept, /generate "[^"]+" --data lab\/peer-1\n/);
  assert.match(kept, /export --path 0 --out \S+ --data lab\/peer-1$/);
  assert.doesNotMatch(kept, / eval /, "its peers have stopped, so there is nobody to ask");
  assert.match(afterwards(undefined).join("\n"), /gone with the demo.* demo --data \S+$/);
});

test("values are quoted for a shell where they need it", () => {
  assert.equal(quoted("./lab"), "./lab");
  assert.equal(quoted("my lab"), "'my lab'");
  assert.equal(quoted("it's"), String.raw`'it'\''s'`);
  assert.match(pathweaveCommand("join --data", "my lab"), / join --data 'my lab'$/);
});
