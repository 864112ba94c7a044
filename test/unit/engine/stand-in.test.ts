/** Machines for which ONNX Runtime has no build. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CapacityError } from "../../../src/errors.ts";
import { freshState, lossesOf, records, tinyEngine } from "./support.ts";

const CHILD = fileURLToPath(new URL("./stand-in-child.ts", import.meta.url));
// In the child and, since threads inherit it, in its engine's thread.
const pretend = `data:text/javascript,Object.defineProperty(process,"arch",{value:"riscv64"})`;

test("without ONNX Runtime an eager engine stands in for the compiled one, and says so once", async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--import", pretend, CHILD], {
    timeout: 540_000,
  });
  const { name, losses } = JSON.parse(stdout) as { name: string; losses: number[] };
  assert.match(name, /^eager-/);
  const warnings = stderr.match(/PathweaveWarning: .*/g);
  assert.equal(warnings?.length, 1, stderr);
  assert.match(
    warnings[0],
    /ONNX Runtime.*cannot be loaded on this machine \(\w+ riscv64\): .*many times slower/,
  );

  const engine = await tinyEngine();
  try {
    assert.equal(engine.name, "compiled-cpu");
    const compiled = lossesOf(await records(engine, freshState(), 4));
    for (const [step, loss] of losses.entries())
      assert.ok(Math.abs(loss - compiled[step]!) < 1e-4, `${step}`);
  } finally {
    await engine.close();
  }
});

test("a device that is not there is an error, with what to do, and nothing stands in for it", async () => {
  await assert.rejects(tinyEngine({ device: "cuda" }), (error) => {
    assert.ok(error instanceof CapacityError);
    const hint = /choose cpu or check its driver.* node (\S+) --onnxruntime-node-install=cuda12/;
    const script = hint.exec(error.message)?.[1];
    assert.ok(script !== undefined && path.isAbsolute(script) && existsSync(script), error.message);
    return true;
  });
});
