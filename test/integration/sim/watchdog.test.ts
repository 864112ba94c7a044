/** A world that goes round and round is ended from outside of its thread, with a word about where. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { awaited } from "../../waits.ts";

const WATCHDOG = new URL("../../../scripts/simulate/watchdog.ts", import.meta.url);

test("a seed that never ends is named, and its process ended", async () => {
  const program = `
    import { Worker } from "node:worker_threads";
    const seed = new Int32Array(new SharedArrayBuffer(4));
    seed[0] = 7;
    const watchdog = new Worker(new URL(${JSON.stringify(WATCHDOG.href)}), {
      workerData: { seed, mostSeconds: 0.1 },
      execArgv: [],
    });
    watchdog.on("online", () => { for (;;) Math.sqrt(2); });
  `;
  const run = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program]);
  await assert.rejects(awaited("the end of the process", run), (error: unknown) => {
    const { signal, stderr } = error as { signal: string; stderr: string };
    assert.equal(signal, "SIGKILL");
    assert.match(stderr, /^seed 7 took 0\.1 s of processor time and does not end: /m);
    return true;
  });
});
