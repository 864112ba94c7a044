/** What cannot work is refused before work begins, in one line that says what to do, and leaves no folder behind. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { stringify } from "yaml";
import { dagCborCid } from "../../src/objects/object.ts";
import { encodeInvite } from "../../src/run/invite.ts";
import { PATHWEAVE, tinyRun } from "./tiny-run.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-refused-"));
});
after(() => rm(directory, { recursive: true, force: true }));

const at = (name: string): string => path.join(directory, name);
const invite = encodeInvite({ run: dagCborCid(Uint8Array.of(0xa0)), bootstrap: ["/ip4/127.0.0.1/tcp/9"] });

function pathweave(args: string[], environment: Record<string, string> = {}) {
  return new Promise<{ code: number; output: string; errors: string[] }>((resolve) => {
    const options = { timeout: 540_000, env: { ...process.env, ...environment } };
    execFile(process.execPath, [PATHWEAVE, ...args], options, (failure, stdout, stderr) => {
      const errors = stderr.split("\n").filter((line) => line.startsWith("pathweave:"));
      resolve({ code: failure === null ? 0 : Number(failure.code), output: stdout + stderr, errors });
    });
  });
}

async function refused(
  args: string[],
  pattern: RegExp,
  environment?: Record<string, string>,
): Promise<string> {
  const { code, output, errors } = await pathweave([...args, "--data", at("new/folder")], environment);
  assert.ok(code === 1 || code === 2, output);
  assert.equal(errors.length, 1, output);
  // An error may go on over several lines.
  assert.match(output.slice(output.indexOf(errors[0]!)), pattern);
  assert.doesNotMatch(errors[0]!, /this is a bug/);
  assert.ok(!(await readdir(directory)).includes("new"), "no folder is left, nor those above it");
  return output;
}

async function runFile(name: string, model: Record<string, unknown>): Promise<string> {
  const file = at(`${name}.yaml`);
  const run = tinyRun();
  await writeFile(file, stringify({ ...run, model: { ...run.model, ...model } }));
  return file;
}

test("a run that no memory holds is refused before the corpus is read", async () => {
  const file = await runFile("wide", { width: 65_536, blocks: 64, heads: 512 });
  const output = await refused(["create", file], /(of memory and .* is free|parameters, and no machine)/);
  assert.doesNotMatch(output, /reading the corpus|training the tokenizer/);
});

test("a run that --max-disk does not hold is refused with what to raise", async () => {
  const file = await runFile("small", {});
  const output = await refused(
    ["create", file, "--max-disk", "1MB"],
    /--max-disk leaves .*; raise --max-disk/,
  );
  assert.doesNotMatch(output, /reading the corpus|training the tokenizer/);
});

test("a size without a unit is refused, as a flag and in the environment", async () => {
  const file = await runFile("small", {});
  await refused(["create", file, "--max-disk", "20"], /--max-disk is "20", which has no unit/);
  await refused(["join", invite], /--max-disk is "20", which has no unit/, { PATHWEAVE_MAX_DISK: "20" });
});

test("an invite file that is empty is named", async () => {
  await writeFile(at("empty.invite"), "");
  await refused(["join", "--invite-file", at("empty.invite")], /nothing in \S*empty\.invite/);
  await writeFile(at("broken.invite"), invite.slice(0, -9));
  await refused(["join", "--invite-file", at("broken.invite")], /broken\.invite: .*truncated or mistyped/);
});

test("an invite is taken in quotes, in capitals and after its command, and a failed join leaves no folder", async () => {
  for (const words of [[`"${invite.toUpperCase()}"`], ["pathweave", "join", invite]])
    await refused(["join", ...words, "--no-mdns", "--log-level", "error"], /127\.0\.0\.1\/tcp\/9/);
});
