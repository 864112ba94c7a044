/** Ctrl-C, SIGTERM, a closed terminal and a closed pipe, at every stage, in real processes. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { stringify } from "yaml";
import { createTinyRun, PATHWEAVE, ROUNDS, tinyRun } from "./tiny-run.ts";

const skip = process.platform === "win32";
let directory: string;
let endless: string;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-interrupt-"));
  // Whoever waits for its warm start to end waits for ever.
  endless = path.join(directory, "endless.yaml");
  const { training, ...rest } = tinyRun();
  await writeFile(endless, stringify({ ...rest, training: { ...training, seedSteps: 1_000_000 } }));
});
after(() => rm(directory, { recursive: true, force: true }));

const at = (name: string): string => path.join(directory, name);

interface Ended {
  code: number | null;
  signal: string | null;
  output: string;
}

/** A process that is followed by what it prints. */
function start(...args: string[]): {
  child: ChildProcess;
  said(text: RegExp): Promise<void>;
  ended: Promise<Ended>;
} {
  const child = spawn(process.execPath, [PATHWEAVE, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const look = new Set<() => void>();
  const hear = (chunk: Buffer): void => {
    output += chunk.toString();
    for (const check of look) check();
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const ended = once(child, "close").then(([code, signal]): Ended => ({ code, signal, output }));
  const said = (text: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        if (!text.test(output)) return;
        look.delete(check);
        resolve();
      };
      look.add(check);
      void ended.then(() => reject(new Error(`It ended without saying ${text}: ${output}`)));
      check();
    });
  return { child, said, ended };
}

const STAGES: [string, RegExp, NodeJS.Signals, number][] = [
  ["before it begins", /needs about/, "SIGINT", 130],
  ["reading the corpus", /reading the corpus/, "SIGTERM", 143],
  ["in the warm start", /warm start .* step [1-9]/, "SIGINT", 130],
  ["in the warm start, by a closed terminal", /warm start .* step [1-9]/, "SIGHUP", 129],
];
for (const [name, stage, signal, expected] of STAGES)
  test(
    `create that is interrupted ${name} says what is kept, and leaves the folder as it was`,
    { skip },
    async () => {
      const data = at(`create-${signal}-${expected}-${name.length}`);
      const { child, said, ended } = start("create", endless, "--data", data);
      await said(stage);
      child.kill(signal);
      const { code, signal: died, output } = await ended;
      // While the engine computes, it dies by the signal, which a shell shows as the same code.
      assert.ok(code === expected || died === signal, `${code} ${died} ${output}`);
      assert.match(
        output,
        /pathweave: Interrupted\. create keeps nothing of the run.*create \S+endless\.yaml --data \S+\n$/,
      );
      assert.doesNotMatch(output, /this is a bug|terminate called|Error:/);
      assert.ok(!(await readdir(directory)).includes(path.basename(data)));
    },
  );

test("a demo that is interrupted says what stays", { skip }, async () => {
  const data = at("demo");
  const { child, said, ended } = start("demo", "--data", data);
  await said(/training the tokenizer|reading and tokenizing/);
  child.kill("SIGINT");
  const { output } = await ended;
  assert.match(output, /pathweave: Interrupted\. The demo leaves what it made in \S+demo; delete/);
  assert.ok((await readdir(data)).includes("run.yaml"));
});

test("a folder that was there before is left as it was", { skip }, async () => {
  const data = at("mine");
  await mkdir(data);
  await writeFile(path.join(data, "note"), "mine");
  const { child, said, ended } = start("create", endless, "--data", data);
  await said(/warm start .* step [1-9]/);
  child.kill("SIGINT");
  await ended;
  assert.deepEqual(await readdir(data), ["note"]);
});

test("a second Ctrl-C in the middle of a step ends the process without a word of C++", { skip }, async () => {
  for (let time = 0; time < 3; time++) {
    const { child, said, ended } = start("create", endless, "--data", at(`forced-${time}`));
    await said(/warm start .* step [1-9]/);
    child.kill("SIGINT");
    await said(/Stopping/);
    // Presses on like an impatient user; copies within a moment are passed over.
    const impatient = setInterval(() => child.kill("SIGINT"), 50);
    const { code, signal, output } = await ended;
    clearInterval(impatient);
    assert.ok(code === 130 || signal === "SIGINT", `${code} ${signal}`);
    assert.doesNotMatch(output, /terminate called|Napi|this is a bug/);
  }
});

test(
  "a peer says goodbye to a closed terminal and to a closed pipe, and keeps its run",
  { skip },
  async () => {
    const data = at("run");
    await createTinyRun(directory, data);
    const join = ["join", "--data", data, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"];
    const first = start(...join);
    await first.said(/round 0 of path \d is done/);
    // An observer is no peer, and that it hangs up is no reason to end.
    const status = await start("status", "--data", data, "--no-mdns", "--json").ended;
    assert.equal(status.code, 0, status.output);
    const seen = JSON.parse(status.output.trim().split("\n").at(-1)!) as Record<string, unknown>;
    assert.equal(seen["rounds"], 4 * ROUNDS);
    assert.ok(Number(seen["roundsDone"]) >= 1);
    assert.ok(seen["secondsLeft"] === null || Number(seen["secondsLeft"]) >= 0, String(seen["secondsLeft"]));
    await first.said(/round 2 of path \d is done/);
    first.child.kill("SIGHUP");
    const hungUp = await first.ended;
    assert.doesNotMatch(hungUp.output, /joined/);
    assert.equal(hungUp.code, 0, hungUp.output);
    assert.match(hungUp.output, /left after/);

    const second = start(...join, "--json");
    await second.said(/"type":"progress","rounds":\d+,"of":\d+,"secondsLeft":(null|\d+)/);
    second.child.stdout!.destroy();
    const piped = await second.ended;
    assert.equal(piped.code, 0, piped.output);
    assert.doesNotMatch(piped.output, /EPIPE|this is a bug|Error/);

    // Also at once: what it prints last has no reader.
    const third = start("--help");
    third.child.stdout!.destroy();
    const help = await third.ended;
    assert.ok(help.code === 0 || help.code === 141, help.output);
    assert.doesNotMatch(help.output, /EPIPE|this is a bug|Error/);
  },
);

for (const command of ["status", "eval"])
  test(`${command} that is interrupted ends at once and leaves nothing`, { skip }, async () => {
    const scratch = await mkdtemp(path.join(directory, "scratch-"));
    const { child, said, ended } = (() => {
      const before = process.env["TMPDIR"];
      process.env["TMPDIR"] = scratch;
      try {
        return start(command, "--data", at("run"), "--no-mdns");
      } finally {
        if (before === undefined) delete process.env["TMPDIR"];
        else process.env["TMPDIR"] = before;
      }
    })();
    await said(/looking for peers/);
    child.kill("SIGINT");
    const { code, output } = await ended;
    assert.equal(code, 130, output);
    assert.match(output, /pathweave: Interrupted; nothing was changed\.\n$/);
    assert.deepEqual(await readdir(scratch), []);
  });
