import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { isAdmitted, runConfigSchema } from "../../../src/objects/config.ts";
import { parseRunFile, readRunFile } from "../../../src/run/run-file.ts";
import { runFileKeys } from "../../../src/run/run-schema.ts";
import { validateConfig } from "../../../src/run/validate.ts";

/** The lines of the ManifestError that a run file causes. */
function problemsOf(text: string): string[] {
  try {
    parseRunFile(text, "run.yaml");
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.equal(error.name, "ManifestError", error.stack);
    return error.message.split("\n");
  }
  return [];
}

const MINIMAL = "name: t\ngrid: [2, 2]\ncorpus: text\n";

test("a minimal file takes every default, and default levels by its grid", () => {
  const { config, corpus, tokenizer } = parseRunFile(MINIMAL, "some/folder/run.yaml");
  assert.deepEqual(corpus, [resolve("some/folder/text")]);
  assert.equal(tokenizer, undefined);
  assert.equal(config.training.innerSteps, 25);
  assert.deepEqual(
    config.levels.map(({ name, parts, choose }) => `${name}: ${parts.join()} ${choose}`),
    ["embedding: embedding shared", "lower: blocks 0-1 0", "upper: blocks 2-3 1", "head: head shared"],
  );
  assert.deepEqual(runConfigSchema.parse(config), config);
});

test("the learning rate follows the width, from the paper's on, unless the file has one", () => {
  const rateOf = (keys: string): number =>
    parseRunFile(`${MINIMAL}${keys}`, "run.yaml").config.training.learningRate;
  assert.equal(rateOf("model: { width: 896, heads: 14 }"), 4e-4);
  assert.equal(rateOf("model: { width: 96 }"), 3.7e-3);
  assert.equal(rateOf("model: { width: 1792 }"), 2e-4, "the paper's rate at 2048 is 2e-4, too");
  assert.equal(rateOf(""), 2.8e-3, "of the default width");
  assert.equal(rateOf("training: { learningRate: 8e-3 }"), 8e-3);
});

test("corpus and tokenizer are resolved against the file's folder", () => {
  const { corpus, tokenizer } = parseRunFile(
    "name: t\ngrid: [1]\ncorpus: [a.txt, /data/**/*.jsonl]\ntokenizer: ../tokenizer.json\n",
    "/runs/one/run.yaml",
  );
  assert.deepEqual(corpus, ["/runs/one/a.txt", "/data/**/*.jsonl"]);
  assert.equal(tokenizer, "/runs/tokenizer.json");
});

test("how the corpus is read stands beside it, and not in the configuration that peers share", () => {
  const parse = (keys: string) => parseRunFile(`name: t\ngrid: [1]\ncorpus: a.txt\n${keys}`, "run.yaml");
  const plain = parse("");
  assert.deepEqual([plain.textFields, plain.encoding], [undefined, undefined]);
  const { config, textFields, encoding } = parse("textField: data.text\nencoding: latin1\n");
  assert.deepEqual([textFields, encoding], [["data.text"], "windows-1252"]);
  assert.deepEqual(config, plain.config);
  assert.deepEqual(parse("textField: [text, body]\n").textFields, ["text", "body"]);
});

test("a file is read from disk, and a missing one or a folder is one clear line", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathweave-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "run.yaml");
  await assert.rejects(readRunFile(path), {
    name: "ManifestError",
    message: /^There is no run file \S+run\.yaml\. Give the path/,
  });
  await assert.rejects(readRunFile(folder), {
    name: "ManifestError",
    message: /^\S+ is a folder, not a run file\. Give the path/,
  });
  await writeFile(path, MINIMAL);
  assert.deepEqual((await readRunFile(path)).corpus, [join(folder, "text")]);
});

const read = (more: string) => parseRunFile(MINIMAL + more, "run.yaml");

test("an outer optimizer that there is not is refused with those that there are", () => {
  assert.throws(() => read("outer: {optimizer: sofia}\n"), {
    name: "ManifestError",
    message: /outer\.optimizer is "sofia"; expected one of nesterov/,
  });
  const { config } = read("");
  assert.throws(() => validateConfig({ ...config, outer: { ...config.outer, optimizer: "sofia" } }), {
    name: "ManifestError",
    message: /outer\.optimizer is sofia; expected one of nesterov/,
  });
});

test("all problems are listed in the order of the file, with line, column and what was expected", () => {
  const text = [
    "name: two words", // 1
    "grid: [2, 0]", // 2
    "corpus: text", // 3
    "model:", // 4
    "  widht: 64", // 5
    "  blocks: 1.5", // 6
    "outer: {codec: fp8, quorum: 2}", // 7
    "training:", // 8
    "swarm: fast", // 9
  ].join("\n");
  assert.deepEqual(problemsOf(text), [
    'run.yaml:1:1: name is "two words"; use letters, digits, dots, hyphens.',
    "run.yaml:2:11: grid[1] is 0; expected an integer from 1 to 4096.",
    "run.yaml:5:3: model.widht is not a key; did you mean model.width?",
    "run.yaml:6:3: model.blocks is 1.5; expected an integer from 1 to 1024.",
    'run.yaml:7:9: outer.codec is "fp8"; expected one of f32, bf16, int8.',
    "run.yaml:7:21: outer.quorum is 2; expected a number above 0 and of at most 1.",
    "run.yaml:8:1: training is empty; expected a section of keys, or no such key, which takes the default.",
    'run.yaml:9:1: swarm is "fast"; expected a section of keys.',
  ]);
});

const single: [string, string, string][] = [
  [
    "a key of another section",
    `${MINIMAL}innerSteps: 5`,
    "4:1: innerSteps is not a key; did you mean training.innerSteps?",
  ],
  [
    "another spelling of a key",
    `${MINIMAL}training: {batch_size: 4}`,
    "4:12: training.batch_size is not a key; did you mean training.batchSize?",
  ],
  ["a misspelt section", `${MINIMAL}modle: {width: 4}`, "4:1: modle is not a key; did you mean model?"],
  [
    "a key of a level",
    `${MINIMAL}levels: [{nam: a, parts: [x], choose: 0}]`,
    "4:10: levels[0].name is missing; expected a text.",
  ],
  [
    "a missing key",
    "name: t\ngrid: [1]\n",
    " corpus is missing; expected a text or a list of 1 to 1024 entries, each a text.",
  ],
  [
    "an option that the outer optimizer does not have",
    `${MINIMAL}outer: {options: {speed: 2}}`,
    '4:9: outer.options does not fit outer.optimizer nesterov: Unrecognized key: "speed".',
  ],
  ["a key given twice", `${MINIMAL}name: u\n`, "4:1: Map keys must be unique."],
  ["a tab", "name: t\n\tgrid: [1]\n", "2:1: Tabs are not allowed as indentation."],
  ["a list in place of the file", "- name: t\n", ' the file is [{"name":"t"}]; expected a section of keys.'],
  ["an unknown tag", "name: !!js/function x\n", "1:7: Unresolved tag: tag:yaml.org,2002:js/function."],
  [
    "infinity",
    `${MINIMAL}training: {learningRate: .inf}`,
    "4:12: training.learningRate is Infinity; expected a number above 0.",
  ],
  [
    "fewer blocks than axes",
    `${MINIMAL}model: {blocks: 1}`,
    "4:9: model.blocks is 1, fewer than the axes of the grid; add blocks or list the levels.",
  ],
  [
    "heads that do not divide the width",
    `${MINIMAL}model: {width: 100, heads: 3}`,
    "4:9: model.width is 100, not divisible by model.heads (3); expected a multiple, such as 99.",
  ],
  [
    "an odd head",
    `${MINIMAL}model: {width: 12, heads: 4}`,
    "4:20: model.heads is 4, so a head would have 3 features; rotary positions need an even number.",
  ],
  [
    "a prefix as long as a sequence",
    `${MINIMAL}routing: {prefixTokens: 128}`,
    "4:11: routing.prefixTokens is 128; expected less than model.sequenceLength (128), or no token would be scored.",
  ],
  [
    "a warm-up longer than the run",
    `${MINIMAL}training: {warmupSteps: 350}`,
    "4:12: training.warmupSteps is 350; expected less than the 350 steps of the run (seedSteps + rounds × innerSteps).",
  ],
  [
    "fractions that leave nothing",
    `${MINIMAL}data: {validationFraction: 0.9, routerFraction: 0.1}`,
    "4:8: data.validationFraction and data.routerFraction leave nothing to train on; expected a sum below 1.",
  ],
  [
    "a lease that no heartbeat renews in time",
    `${MINIMAL}swarm: {heartbeatSeconds: 11}`,
    "4:1: swarm.leaseSeconds is 20; expected at least twice swarm.heartbeatSeconds (11), which renews it.",
  ],
  [
    "a settle time as long as a lease",
    `${MINIMAL}swarm: {settleSeconds: 20}`,
    "4:9: swarm.settleSeconds is 20; expected less than swarm.leaseSeconds (20).",
  ],
  [
    "more contributions than a version lists",
    `${MINIMAL.replace("[2, 2]", "[32, 32]")}replicas: 2`,
    "4:1: replicas is 2: with 1024 paths and outer.maxStaleness 4 a version could fold over 8192 contributions; lower one of the three.",
  ],
  [
    "a vocabulary too small to train a tokenizer for",
    `${MINIMAL}model: {vocabulary: 256}`,
    "4:9: model.vocabulary is 256; expected at least 257 (every byte and end-of-text), or a tokenizer.",
  ],
  [
    "an encoding that does not exist",
    `${MINIMAL}encoding: latin-99`,
    '4:1: encoding is "latin-99"; expected an encoding such as windows-1252, iso-8859-2, shift_jis, gb18030, koi8-r or utf-16le.',
  ],
  [
    "an axis without a level",
    `${MINIMAL}levels: [{name: a, parts: [embedding, blocks 0-3, head], choose: 0}]`,
    "2:11: grid[1] is 2, but no level chooses by axis 1, so paths along it would be identical; use 1, or let a level choose 1 or path.",
  ],
];
for (const [name, text, expected] of single)
  test(`${name} is one line that says where and what`, () => {
    assert.equal(problemsOf(text)[0], `run.yaml:${expected}`);
  });

test("aliases cannot blow a small file up", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let at = 1; at < 9; at++)
    lines.push(
      `a${at}: &a${at} [${Array(9)
        .fill(`*a${at - 1}`)
        .join(", ")}]`,
    );
  assert.match(problemsOf(lines.join("\n"))[0]!, /alias/);
});

test("the peers that a run admits are ids, each listed once; without a list there is no such key", () => {
  const peer = "12D3KooWBe4iDocUNVgwr1PNxzdfSfSFsmbCU73L9CXE3m1P333G";
  const listed = (...peers: string[]): string =>
    `${MINIMAL}admission:\n  peers:\n${peers.map((id) => `    - ${id}\n`).join("")}`;
  const { config } = parseRunFile(listed(peer), "run.yaml");
  assert.deepEqual(config.admission, { peers: [peer] });
  assert.deepEqual([isAdmitted(config, peer), isAdmitted(config, `${peer.slice(0, -1)}H`)], [true, false]);
  const open = parseRunFile(MINIMAL, "run.yaml").config;
  assert.ok(!("admission" in open), "the manifests of open runs keep their bytes");
  assert.ok(isAdmitted(open, peer));
  assert.match(problemsOf(listed(peer, peer))[0]!, /^run\.yaml:7:7: admission\.peers.* repeats 12D3/);
  assert.match(problemsOf(listed("QmYwAPJzv5"))[0]!, /expected peer ids such as 12D3KooW…, as pathweave id/);
});

test("a file over 1 MiB is refused", () => {
  assert.match(problemsOf(`name: ${"x".repeat(1 << 20)}`)[0]!, /over 1 MiB/);
});

test("whatever the text, reading succeeds or throws a ManifestError", () => {
  const names = runFileKeys().map(({ name }) => name.split(".").at(-1)!);
  const value = fc.oneof(
    fc.integer().map(String),
    fc.double().map(String),
    fc.constantFrom("", "[]", "{}", "[1]", "x", "null", "true", "{a: 1}", "*x", "&x 1"),
  );
  const line = fc.tuple(
    fc.constantFrom("", "  ", "- "),
    fc.oneof(fc.constantFrom(...names, "model", "levels"), fc.string()),
    value,
  );
  const file = fc
    .array(line.map(([indent, key, text]) => `${indent}${key}: ${text}`))
    .map((lines) => lines.join("\n"));
  fc.assert(fc.property(fc.oneof(fc.string(), file), (text) => void problemsOf(text)));
});

test("a configuration from elsewhere is checked in the same words", () => {
  const { config } = parseRunFile(MINIMAL, "run.yaml");
  validateConfig(config);
  assert.throws(() => validateConfig({ ...config, model: { ...config.model, heads: 3 } }), {
    name: "ManifestError",
    message: /^The run's configuration is wrong: model\.width is 128, not divisible/,
  });
});
