/**
 * The compiled step on a GPU. SwiftShader, a Vulkan device in software that comes with a headless
 * Chromium on npm, stands in for one; it must be on the library path before the process starts.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliDecompressSync } from "node:zlib";
import {
  firstBatch,
  freshState,
  largestDifference,
  lossesOf,
  normsOf,
  records,
  shape,
  tinyEngine,
} from "./support.ts";

const STEPS = 6;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "pathweave-vulkan-"));
});
after(() => rm(folder, { recursive: true }));

/** One file of a tar archive. */
function fileOf(archive: Buffer, name: string): Buffer {
  for (let at = 0; at + 512 <= archive.length;) {
    const entry = archive.toString("latin1", at, at + 100).replace(/\0.*$/s, "");
    const size = Number.parseInt(archive.toString("latin1", at + 124, at + 136), 8) || 0;
    if (entry === name) return archive.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error(`${name} is not in the archive.`);
}

void test(
  "trains and evaluates on WebGPU as on the CPU",
  { skip: process.platform !== "linux" },
  async () => {
    const packed = new URL("../../bin/swiftshader.tar.br", import.meta.resolve("@sparticuz/chromium"));
    const archive = brotliDecompressSync(await readFile(packed));
    await writeFile(join(folder, "libvulkan.so.1"), fileOf(archive, "libvk_swiftshader.so"));
    const program = fileURLToPath(new URL("./webgpu-child.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program, String(STEPS)], {
      env: { ...process.env, LD_LIBRARY_PATH: folder },
    });
    const onGpu = JSON.parse(stdout) as {
      name: string;
      losses: number[];
      norms: number[];
      score: number[];
      logits: number[];
      features: number[];
    };
    assert.equal(onGpu.name, "compiled-webgpu");

    const engine = await tinyEngine();
    const state = freshState();
    const all = await records(engine, state, STEPS);
    assert.ok(largestDifference(onGpu.losses, lossesOf(all)) < 1e-4);
    assert.ok(largestDifference(onGpu.norms, normsOf(all)) < 1e-4);
    const batch = firstBatch(2);
    const tokens = batch.tokens.slice(0, 2 * shape.sequenceLength);
    const { parameters } = freshState();
    const places = Int32Array.of(4, 9);
    assert.ok(largestDifference(onGpu.score, await engine.score(parameters, batch)) < 1e-4);
    assert.ok(largestDifference(onGpu.logits, await engine.logits(parameters, tokens, places)) < 1e-4);
    assert.ok(largestDifference(onGpu.features, await engine.features(parameters, tokens, places)) < 1e-4);
    await engine.close();
  },
);
