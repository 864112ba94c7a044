/** `pathweave tune` as a user runs it: real text, real training, a process of its own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { stringify } from "yaml";
import { PATHWEAVE, tinyRun } from "./tiny-run.ts";

let directory: string;
let runFile: string;
/** Where the command may put what it needs meanwhile. */
let temporary: string;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "tune-test-"));
  temporary = path.join(directory, "tmp");
  await mkdir(temporary);
  runFile = path.join(directory, "run.yaml");
  const run = tinyRun();
  await writeFile(runFile, stringify({ ...run, corpus: run.corpus.slice(0, 24) }));
});

after(() => rm(directory, { recursive: true, force: true }));

/** What it left. */
const kept = (): Promise<string[]> => readdir(temporary);

function tune(...args: string[]): ChildProcess {
  return spawn(process.execPath, [PATHWEAVE, "tune", runFile, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: temporary },
  });
}

test("tune tries the given rates, names the one that diverges, and prints the line for the run file", async () => {
  const child = tune("--rates", "1e-4,1e-2,1e3", "--steps", "30");
  const [out, errors] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  assert.equal(child.exitCode ?? (await once(child, "exit"))[0], 0, errors);
  assert.match(out, /rate 1e-4: held-out loss \d\.\d{3}, perplexity \d+\.\d/);
  assert.match(out, /rate 1e3: training diverged at step \d+/);
  assert.match(out, /^1e-4 +\d\.\d{3} \| +o$/m);
  assert.match(out, /^1e-2 +\d\.\d{3} \|o {2}best$/m);
  assert.match(out, /^ 1e3 {2}diverged at step \d+$/m);
  assert.ok(out.endsWith(", below its line training:\n\n  learningRate: 1e-2\n"), out);
  for (const line of out.split("\n")) assert.ok(line.length <= 120, line);
  assert.deepEqual(await kept(), []);
});

test("tune says what it knows when it is stopped", async () => {
  const child = tune("--rates", "1e-2,2e-2", "--steps", "60", "--json");
  const out = text(child.stdout!);
  const exit = once(child, "exit");
  for await (const line of createInterface({ input: child.stderr! }))
    if (line.startsWith("rate 1e-2: held-out loss")) child.kill("SIGINT");
  assert.equal((await exit)[0], 130);
  const result = JSON.parse(await out);
  assert.equal(result.complete, false);
  assert.equal(result.learningRate, 1e-2);
  assert.deepEqual(
    result.trials.map(({ learningRate, steps }: { learningRate: number; steps: number }) => [
      learningRate,
      steps,
    ]),
    [[1e-2, 60]],
  );
  assert.deepEqual(await kept(), []);
});

test("tune says null where every rate diverged", async () => {
  const child = tune("--rates", "1e3", "--steps", "30", "--json");
  assert.equal(JSON.parse(await text(child.stdout!)).learningRate, null);
});

for (const [args, message] of [
  [["--rates", "1e-3,fast"], /--rates is "1e-3,fast"; give positive numbers, such as --rates 2e-3,4e-3\./],
  [["--steps", "0.5"], /--steps is 0\.5; give a whole number of steps/],
] as const)
  test(`tune refuses ${args.join(" ")} in one line`, async () => {
    const child = tune(...args);
    const errors = await text(child.stderr!);
    assert.match(errors, message);
    assert.equal(errors.trim().split("\n").length, 1, errors);
    assert.equal(child.exitCode ?? (await once(child, "exit"))[0], 2);
  });
