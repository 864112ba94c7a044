import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../../node/launch.js", import.meta.url));

interface Result {
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

/** Runs the command as a user does, in a process of its own. */
function pathweave(args: string[], nodeArgs: string[] = []): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...nodeArgs, launcher, ...args],
      { timeout: 30_000 },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

test("--help lists commands and examples; --version is the package's", async () => {
  const [help, version] = await Promise.all([pathweave(["--help"]), pathweave(["--version"])]);
  assert.equal(help.code, 0);
  for (const text of [
    "pathweave demo",
    "pathweave join [invite]",
    "pathweave create <file>",
    "Examples:",
    "PATHWEAVE_LOG_LEVEL",
  ])
    assert.ok(help.stdout.includes(text), `--help lacks ${text}`);
  const manifest = JSON.parse(await readFile(new URL("../../../package.json", import.meta.url), "utf8"));
  assert.equal(version.stdout.trim(), manifest.version);
});

test("a misspelt command is one line and exit code 2", async () => {
  const { code, stdout, stderr } = await pathweave(["jion"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    'pathweave: "jion" is not a command; did you mean "join"? See "npm run pathweave -- --help".\n',
  );
});

test("an old Node.js is told what to do in one line", async () => {
  const pretend = 'data:text/javascript,Object.defineProperty(process.versions,"node",{value:"20.19.0"})';
  const { code, stdout, stderr } = await pathweave(["--version"], ["--import", pretend]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(
    stderr,
    /^pathweave: Node\.js 20\.19\.0 is too old; .*npm start.* or install Node\.js 22\.19 or later\.\n$/,
  );
});
