import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { before, test } from "node:test";
import { CID } from "multiformats/cid";
import { pathsOf } from "../../../node/commands/export.ts";
import { trainTokenizer } from "../../../src/data/train-tokenizer.ts";
import { PathweaveError, UnavailableError, UsageError } from "../../../src/errors.ts";
import { type ExportOptions, exportPaths } from "../../../src/use/export.ts";
import { modelShape, parameterSpecs } from "../../../src/model/parameters.ts";
import { runConfigSchema } from "../../../src/objects/config.ts";
import { type ModelSource, pathParameters } from "../../../src/use/path-model.ts";
import { createTopology } from "../../../src/run/topology.ts";
import { temporaryFolder } from "../data/corpus.ts";
import { createPlan } from "../../../src/plan/plan.ts";
import { readSafetensors } from "./safetensors.ts";

const config = runConfigSchema.parse({
  name: "export",
  grid: [2, 2],
  levels: [
    { name: "low", parts: ["embedding", "blocks 0-0"], choose: 0 },
    { name: "high", parts: ["blocks 1-1"], choose: 1 },
    { name: "end", parts: ["head"], choose: "shared" },
  ],
  model: { vocabulary: 300, sequenceLength: 16, width: 8, blocks: 2, heads: 2, hidden: 12 },
});
const topology = createTopology(config);
const shape = modelShape(config.model);
const cid = CID.parse("bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yje");
const { signal } = new AbortController();
let json: Uint8Array;

before(async () => {
  const text = "the whale and the sea";
  json = Buffer.from(
    JSON.stringify(await trainTokenizer([{ id: "a", source: "a", origin: "a", text }], { vocabulary: 300 })),
  );
});

/** A run whose modules hold other numbers each, and of which one module may be missing. */
function source(missing?: string): ModelSource {
  return {
    run: cid,
    manifest: { config } as ModelSource["manifest"],
    topology,
    plan: createPlan({ config, topology, genesis: [], shards: [] }),
    shape,
    head: (module) => ({
      module,
      generation: 3,
      cid,
      parent: cid,
      contributions: [],
      state: { parameters: cid },
      tokens: 5,
    }),
    async parameters(module) {
      if (module === missing) throw new UnavailableError(`${module} is gone.`);
      const { parts } = topology.levels[topology.module(module).level]!;
      const size = parameterSpecs(shape)
        .filter(({ part }) => parts.includes(part))
        .reduce((sum, spec) => sum + spec.size, 0);
      const seed = topology.modules.findIndex(({ name }) => name === module);
      return Float32Array.from({ length: size }, (_, index) => seed + index / size);
    },
    tokenizerJson: async () => json,
    router: async () => assert.fail("nothing is routed"),
    bytesReceived: () => 0,
  };
}

const options = (out: string, changes: Partial<ExportOptions> = {}): ExportOptions => ({
  out,
  force: false,
  maxFileBytes: 1e9,
  onProgress: () => {},
  signal,
  ...changes,
});

/** Names and contents of everything in a folder. */
function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return Object.fromEntries(
    names.map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return [path.relative(folder, file), readFileSync(file, "latin1")];
    }),
  );
}

for (const maxFileBytes of [1e9, 3000])
  test(`the weights in files of at most ${maxFileBytes} bytes are those of the path, by Llama's names`, async (t) => {
    const out = path.join(temporaryFolder(t), "a", "b");
    const written: number[] = [];
    const onProgress = (done: number, total: number): void => void written.push(done / total);
    const [exported] = await exportPaths(source(), [2], options(out, { maxFileBytes, onProgress }));
    assert.equal(written.at(-1), 1);
    assert.deepEqual(exported!.files, readdirSync(out).toSorted());
    const weights = exported!.files.filter((file) => file.endsWith(".safetensors"));
    const tensors = new Map(weights.flatMap((file) => [...readSafetensors(path.join(out, file))]));
    const flat = await pathParameters(source(), 2, signal);
    const specs = parameterSpecs(shape);
    assert.deepEqual(
      [...tensors.keys()],
      specs.map(({ name }) => name),
    );
    for (const { name, shape: dimensions, offset, size } of specs)
      assert.deepEqual(tensors.get(name), { shape: dimensions, values: flat.slice(offset, offset + size) });
    if (maxFileBytes > 1e6) assert.deepEqual(weights, ["model.safetensors"]);
    else {
      const index = JSON.parse(readFileSync(path.join(out, "model.safetensors.index.json"), "utf8"));
      assert.ok(weights.length > 3);
      assert.deepEqual(new Set(Object.values(index.weight_map)), new Set(weights));
      assert.equal(index.metadata.total_size, 4 * flat.length);
    }
    assert.deepEqual(
      exported!.files.filter((file) => !file.includes("safetensors")),
      ["README.md", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"],
    );
    assert.deepEqual(readFileSync(path.join(out, "tokenizer.json")), Buffer.from(json));
  });

test("several paths have a folder each", async (t) => {
  const out = path.join(temporaryFolder(t), "out");
  const exported = await exportPaths(source(), [0, 1, 2, 3], options(out));
  assert.deepEqual(readdirSync(out).toSorted(), ["path-0", "path-1", "path-2", "path-3"]);
  for (const { path: of, folder } of exported) {
    assert.equal(folder, path.join(out, `path-${of}`));
    const tensors = readSafetensors(path.join(folder, "model.safetensors"));
    const flat = await pathParameters(source(), of, signal);
    assert.equal(
      tensors.get("model.layers.1.input_layernorm.weight")!.values[0],
      flat[
        parameterSpecs(shape).find(({ name }) => name === "model.layers.1.input_layernorm.weight")!.offset
      ],
    );
  }
});

test("a folder that is in use is left alone, an empty one is used", async (t) => {
  const out = temporaryFolder(t, { "notes.txt": "mine" });
  await assert.rejects(exportPaths(source(), [0], options(out)), (error) => {
    assert.ok(error instanceof UsageError);
    assert.match(error.message, /not empty\. Choose another --out, or give --force/);
    return true;
  });
  assert.deepEqual(contents(out), { "notes.txt": "mine" });
  const file = path.join(out, "notes.txt");
  await assert.rejects(exportPaths(source(), [0], options(file)), /is a file/);
  await exportPaths(source(), [0], options(temporaryFolder(t)));
});

test("--force replaces an export and nothing else", async (t) => {
  const out = path.join(temporaryFolder(t), "out");
  const force = true;
  await exportPaths(source(), [0, 1], options(out));
  await exportPaths(source(), [3], options(out, { force, maxFileBytes: 3000 }));
  assert.ok(!existsSync(path.join(out, "path-0")), "nothing of the old export is left");
  await exportPaths(source(), [0, 1], options(out, { force }));
  assert.deepEqual(readdirSync(out).toSorted(), ["path-0", "path-1"]);

  for (const name of ["notes.txt", "path-0/notes.txt", "path-x/config.json", "sub/model.safetensors"]) {
    const file = path.join(out, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, "mine");
    const before = contents(out);
    const [top] = name.split("/");
    await assert.rejects(exportPaths(source(), [0], options(out, { force })), (error) => {
      assert.ok(error instanceof UsageError);
      assert.ok(error.message.includes(top!), error.message);
      return true;
    });
    assert.deepEqual(contents(out), before);
    rmSync(top === "path-0" ? file : path.join(out, top!), { recursive: true });
  }
  const readme = temporaryFolder(t, { "README.md": "mine" });
  await assert.rejects(exportPaths(source(), [0], options(readme, { force })), UsageError);
  assert.deepEqual(contents(readme), { "README.md": "mine" });
});

test("the folder that a shell stands in stays the same one, and so does one behind a link", async (t) => {
  const folder = temporaryFolder(t);
  const out = path.join(folder, "out");
  mkdirSync(out);
  const link = path.join(folder, "link");
  symlinkSync(out, link);
  const { ino } = statSync(out);
  const before = process.cwd();
  process.chdir(out);
  t.after(() => process.chdir(before));
  const force = true;
  await exportPaths(source(), [0], options("."));
  assert.ok(existsSync("config.json"), "the shell sees the export");
  // As a killed export leaves it.
  mkdirSync(".out.1.unfinished");
  const [exported] = await exportPaths(source(), [1], options(link, { force }));
  assert.equal(exported!.folder, link);
  assert.match(readFileSync("README.md", "utf8"), /path 1/i);
  await exportPaths(source(), [2, 3], options(`${out}/.`, { force }));
  assert.deepEqual(readdirSync(".").toSorted(), ["path-2", "path-3"]);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(statSync(out).ino, ino);
  assert.deepEqual(readdirSync(folder).toSorted(), ["link", "out"]);
});

test("an export that fails leaves everything as it was", async (t) => {
  const folder = temporaryFolder(t);
  const out = path.join(folder, "out");
  await assert.rejects(exportPaths(source("end/0"), [0], options(out)), /end\/0 is gone/);
  assert.deepEqual(readdirSync(folder), []);
  await exportPaths(source(), [0], options(out));
  const before = contents(folder);
  await assert.rejects(
    exportPaths(source("high/1"), [0, 1], options(out, { force: true })),
    /high\/1 is gone/,
  );
  const controller = new AbortController();
  const onProgress = (): void => controller.abort(new PathweaveError("stopped"));
  const aborted = options(out, { force: true, onProgress, signal: controller.signal });
  await assert.rejects(exportPaths(source(), [0], aborted), /stopped/);
  await assert.rejects(exportPaths(source(), [0, 9], options(out, { force: true })), /its paths are 0 to 3/);
  assert.deepEqual(contents(folder), before);
});

test("--path takes a number or all, and else lists what there is", () => {
  assert.deepEqual(pathsOf("2", topology), [2]);
  assert.deepEqual(pathsOf("all", topology), [0, 1, 2, 3]);
  const one = createTopology({
    ...config,
    grid: [1],
    levels: [{ ...config.levels[0]!, parts: ["embedding", "blocks 0-1", "head"], choose: "shared" }],
  });
  assert.deepEqual(pathsOf(undefined, one), [0]);
  for (const wrong of [undefined, "4", "-1", "1.5", "two", ""])
    assert.throws(
      () => pathsOf(wrong, topology),
      (error) =>
        error instanceof UsageError &&
        error.message.includes("--path all") &&
        error.message.includes("2 (low/1, high/0, end/0)"),
    );
});
