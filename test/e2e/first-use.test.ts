/**
 * What a user does with a trained run: `generate` and `export`, out of the folder on this machine, beside its running
 * peer, and from elsewhere with nothing but an invite.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { type LocalSwarm, startLocalSwarm } from "../../node/local-swarm.ts";
import { openFolderModel } from "../../src/use/folder-model.ts";
import { parameterSpecs } from "../../src/model/parameters.ts";
import { type ModelSource, pathParameters, routePrompt } from "../../src/use/path-model.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { readSafetensors } from "../unit/use/safetensors.ts";
import { createTinyRun, PATHWEAVE, tinyRun } from "./tiny-run.ts";
import { patient } from "../waits.ts";

const signal = patient;
const DEVICE = { kind: "compiled", device: "cpu" } as const;
const PROMPT = "It is not down in any map; true places never are. He said no more, and";
let directory: string;
let data: string;
let swarm: LocalSwarm;
let model: ModelSource;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-first-use-"));
  data = path.join(directory, "peer-1");
  const run = await createTinyRun(directory, data, {
    training: { rounds: 1, innerSteps: 10 },
    // One generation of each module, however long its paths take.
    swarm: { graceSeconds: 3600 },
  });
  swarm = await startLocalSwarm({ directory, peers: 1, run, logLevel: "error", signal });
  await swarm.complete(signal);
  model = await openFolderModel(data);
});

after(async () => {
  await swarm?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command with something on its standard input. */
function pathweave(args: string[], input?: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [PATHWEAVE, ...args, "--no-mdns"],
      { cwd: directory, signal },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin!.end(input);
  });
}

async function last(args: string[], input?: string): Promise<Record<string, any>> {
  const { code, stdout, stderr } = await pathweave([...args, "--json"], input);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.trim().split("\n").length, 1, "one line");
  return JSON.parse(stdout) as Record<string, any>;
}

const bytesOfPath = (): number => 4 * parameterSpecs(model.shape).reduce((sum, { size }) => sum + size, 0);

test("the folder has the run's heads while its peer runs, and so does its path", async () => {
  for (const { name } of model.topology.modules) {
    assert.equal(model.head(name).generation, 1);
    assert.equal(model.head(name).cid.toString(), swarm.peers[0]!.heads.get(name));
  }
});

test("generate routes the prompt and writes the same text with the same seed", async () => {
  const flags = ["generate", PROMPT, "--data", data, "--length", "20"];
  const [plain, json, again, other] = await Promise.all([
    pathweave(flags),
    last(flags),
    last(["generate", "-", ...flags.slice(2)], `${PROMPT}\n`),
    last([...flags, "--seed", "5"]),
  ]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.equal(
    plain.stdout,
    `${json["text"]}\n`.replace(/\n\n$/, "\n"),
    "stdout is the text and nothing else",
  );
  assert.match(plain.stderr, /\d tokens\/s, ended by/);
  const about = ["run", "path", "prompt", "text", "tokens", "seed", "bytesReceived"];
  for (const key of about)
    assert.deepEqual(again[key], json[key], `${key}, with the prompt from standard input`);
  assert.equal(json["run"], model.run.toString());
  assert.equal(json["tokens"], 20);
  assert.equal(json["bytesReceived"], 0);
  assert.notEqual(other["text"], json["text"]);

  const tokenizer = loadTokenizer(await model.tokenizerJson());
  const prompt = tokenizer.encode(PROMPT);
  assert.equal(json["promptTokens"], prompt.length);
  assert.equal(json["path"], await routePrompt(model, prompt, tokenizer.endOfText, DEVICE, signal));
});

test("prompts that are shorter than the routing prefix, and an empty one, are routed and continued", async () => {
  const [short, empty] = await Promise.all(
    ["He", ""].map((prompt) => last(["generate", prompt, "--data", data, "--length", "3"])),
  );
  for (const result of [short!, empty!]) {
    assert.equal(result["routed"], true);
    assert.ok(result["path"] >= 0 && result["path"] < 4);
  }
  assert.ok(short!["promptTokens"] < tinyRun().routing.prefixTokens);
  assert.equal(empty!["promptTokens"], 0);
});

test("export writes what the folder holds, path by path, and nothing of it stays when told twice", async () => {
  const out = path.join(directory, "exported");
  const { exported } = await last(["export", "--data", data, "--path", "all", "--out", out]);
  assert.deepEqual(
    exported.map(({ path: of }: { path: number }) => of),
    [0, 1, 2, 3],
  );
  for (const { path: of, folder } of exported as { path: number; folder: string }[]) {
    const tensors = readSafetensors(path.join(folder, "model.safetensors"));
    const flat = await pathParameters(model, of, signal);
    for (const { name, offset, size } of parameterSpecs(model.shape))
      assert.deepEqual(tensors.get(name)!.values, flat.slice(offset, offset + size), `${name} of path ${of}`);
  }
  const listed = await pathweave(["export", "--data", data, "--out", path.join(directory, "none")]);
  assert.equal(listed.code, 2);
  assert.match(
    listed.stderr,
    /--path all, or the number of one: 0 \(embedding\/0, lower\/0, upper\/0, head\/0\); 1/,
  );
  const twice = await pathweave(["export", "--data", data, "--path", "0", "--out", out]);
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /not empty/);
  assert.deepEqual((await readdir(out)).toSorted(), ["path-0", "path-1", "path-2", "path-3"]);
});

test("with an invite only the path comes over the network, and what routing needs", async () => {
  const elsewhere = path.join(directory, "elsewhere");
  await mkdir(elsewhere);
  const flags = ["--invite", swarm.invite, "--data", elsewhere, "--length", "5"];
  const [local, routed, given] = await Promise.all([
    last(["generate", PROMPT, "--data", data, "--length", "5"]),
    last(["generate", PROMPT, ...flags]),
    last(["generate", PROMPT, ...flags, "--path", "3"]),
  ]);
  assert.equal(routed["path"], local["path"]);
  assert.equal(routed["text"], local["text"]);
  assert.deepEqual(await readdir(elsewhere), [], "nothing is left");
  // Manifest, lineage and tokenizer are some KiB here.
  const small = 64 << 10;
  const { bytesReceived: one } = given;
  assert.ok(
    one > bytesOfPath() && one < bytesOfPath() + small,
    `${one} bytes for a path of ${bytesOfPath()}`,
  );
  const { vocabulary, width } = model.shape;
  const seed = bytesOfPath() - 4 * (vocabulary + 1) * width;
  const both = routed["bytesReceived"];
  assert.ok(both > one + seed && both < one + seed + small, `${both} bytes with a seed model of ${seed}`);
});

test("what a folder lacks is asked of the peers, and both are named when nobody has it", async () => {
  const holes = path.join(directory, "holes");
  await cp(data, holes, { recursive: true });
  await rm(path.join(holes, "blocks"), { recursive: true });
  const { code, stderr } = await pathweave(["generate", PROMPT, "--data", holes, "--length", "2"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /is not in .*holes\. Asking the peers of the run\./);

  const nothing = await pathweave(["generate", PROMPT, "--data", path.join(directory, "nothing")]);
  assert.equal(nothing.code, 2);
  assert.match(
    nothing.stderr,
    /There is no run in .*nothing\. Name the folder of a peer with --data, or give an invite/,
  );
});

test("wrong flags are said before anything is read", async () => {
  const wrong: [string[], RegExp][] = [
    [["--length", "0"], /--length takes/],
    [["--temperature", "-1"], /--temperature takes/],
    [["--top-p", "0"], /--top-p takes/],
    [["--top-p", "1.01"], /--top-p takes/],
    [["--seed", "1.5"], /--seed takes/],
    [["--path", "-1"], /--path takes/],
  ];
  const outcomes = await Promise.all(
    wrong.map(([flags]) => pathweave(["generate", "x", "--data", "none", ...flags])),
  );
  for (const [index, { code, stderr }] of outcomes.entries()) {
    assert.equal(code, 2);
    assert.match(stderr, wrong[index]![1]);
  }
  const { code, stderr } = await pathweave(["generate", "x", "--data", data, "--path", "4"]);
  assert.equal(code, 2);
  assert.match(stderr, /no path 4; give one of: 0 \(embedding\/0, lower\/0, upper\/0, head\/0\); 1/);
});

/** A text without end, once its first piece is there. */
async function endless() {
  const flags = ["--data", data, "--length", "1000000", "--temperature", "3"];
  const child = spawn(process.execPath, [PATHWEAVE, "generate", PROMPT, "--path", "0", ...flags], { signal });
  let stderr = "";
  child.stderr.on("data", (some: Buffer) => (stderr += some.toString()));
  await once(child.stdout, "data");
  return { child, said: () => stderr };
}

test("Ctrl-C ends a text at once, without a word of a bug", async () => {
  const { child, said } = await endless();
  child.stdout.resume();
  const ended = once(child, "close");
  child.kill("SIGINT");
  const [code, by] = await ended;
  assert.ok(code === 130 || by === "SIGINT", `it ended with ${code ?? by}: ${said()}`);
  assert.doesNotMatch(said(), /bug|Error/);
});

test("whoever closes the pipe ends the text without a word", async () => {
  const { child, said } = await endless();
  const ended = once(child, "close");
  child.stdout.destroy();
  const [code, by] = await ended;
  assert.ok(code === 141 || by === "SIGPIPE", `it ended with ${code ?? by}: ${said()}`);
  assert.doesNotMatch(said(), /bug|Error|EPIPE/);
});

test("a damaged block is asked for elsewhere, never used", async () => {
  const damaged = path.join(directory, "damaged");
  await cp(data, damaged, { recursive: true });
  const parameters = model.head("head/0").state["parameters"]!;
  const blocks = await readdir(path.join(damaged, "blocks"), { recursive: true, withFileTypes: true });
  const { base32upper } = await import("multiformats/bases/base32");
  const name = `${base32upper.encode(parameters.multihash.bytes)}.data`;
  const entry = blocks.find((one) => one.name === name)!;
  await writeFile(path.join(entry.parentPath, entry.name), "damaged");
  const flags = ["--path", "0", "--out", path.join(directory, "whole")];
  const { code, stderr } = await pathweave(["export", "--data", damaged, ...flags]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /head\/0 of generation 1 is not whole in .*damaged\. Asking the peers of the run\./);
});
