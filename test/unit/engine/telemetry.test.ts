/** ONNX Runtime reports its use to its maker unless told not to; whoever trains here has not agreed to that. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const CHILD = fileURLToPath(new URL("./telemetry-child.ts", import.meta.url));

test("an engine leaves nothing in the home or the temporary folder of its user", async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), "pathweave-telemetry-"));
  t.after(() => rm(folder, { recursive: true }));
  const [home, temporary] = [path.join(folder, "home"), path.join(folder, "tmp")];
  await Promise.all([mkdir(home), mkdir(temporary)]);
  // As a user has it, who has not heard of the variable.
  const { ORT_DISABLE_TELEMETRY: _, XDG_CACHE_HOME: __, ...rest } = process.env;
  const env = { ...rest, HOME: home, USERPROFILE: home, TMPDIR: temporary, TEMP: temporary };
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD], { env });
  assert.equal(stdout, "compiled-cpu");
  assert.deepEqual(await readdir(folder, { recursive: true }), ["home", "tmp"]);
});
