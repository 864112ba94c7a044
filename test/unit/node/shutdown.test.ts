import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { onInterrupt } from "../../../node/shutdown.ts";

/** A stand-in for `process` with a clock. */
function interruptible() {
  const exits: number[] = [];
  const source = new EventEmitter();
  const clock = { now: 0 };
  const said: string[] = [];
  const shutdown = onInterrupt(
    () => void said.push("stopping"),
    source,
    () => clock.now,
    (code) => void exits.push(code),
  );
  return { exits, source, clock, said, shutdown };
}

test("the first Ctrl-C aborts, the second forces exit code 130", () => {
  const { exits, source, clock, said, shutdown } = interruptible();
  assert.equal(shutdown.signal.aborted, false);
  source.emit("SIGINT");
  assert.equal(shutdown.signal.aborted, true);
  assert.equal(said.length, 1);
  assert.deepEqual(exits, []);
  clock.now = 1000;
  source.emit("SIGINT");
  assert.deepEqual(exits, [130]);
});

test("the copy of a Ctrl-C that npm passes on is not a second one", () => {
  const { exits, source, clock } = interruptible();
  source.emit("SIGINT");
  clock.now = 20;
  source.emit("SIGINT");
  assert.deepEqual(exits, []);
});

test("SIGTERM says goodbye, too", () => {
  const { source, shutdown } = interruptible();
  source.emit("SIGTERM");
  assert.equal(shutdown.signal.aborted, true);
});

test("nothing listens any more when it is disposed of", () => {
  const { source, shutdown } = interruptible();
  shutdown[Symbol.dispose]();
  assert.equal(source.listenerCount("SIGINT") + source.listenerCount("SIGTERM"), 0);
  assert.equal(shutdown.signal.aborted, false);
});

/** A process that drains only when `drains` is set. */
function child(drains: boolean) {
  const module = new URL("../../../node/shutdown.ts", import.meta.url).href;
  const script = `
    import { onInterrupt } from ${JSON.stringify(module)};
    const alive = setInterval(() => {}, 1000);
    const shutdown = onInterrupt(() => {});
    shutdown.signal.addEventListener("abort", () => {
      console.log("draining");
      if (${drains}) { clearInterval(alive); shutdown[Symbol.dispose](); }
    });
    console.log("ready");`;
  const running = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { running, lines: createInterface(running.stdout)[Symbol.asyncIterator]() };
}

test(
  "a real process ends by itself once it has drained",
  { skip: process.platform === "win32" },
  async () => {
    const { running, lines } = child(true);
    const exit = once(running, "exit");
    assert.equal((await lines.next()).value, "ready");
    running.kill("SIGINT");
    assert.deepEqual(await exit, [0, null]);
  },
);

test(
  "a real process that hangs while draining is forced with 130",
  { skip: process.platform === "win32" },
  async () => {
    const { running, lines } = child(false);
    const exit = once(running, "exit");
    assert.equal((await lines.next()).value, "ready");
    running.kill("SIGINT");
    assert.equal((await lines.next()).value, "draining");
    // Presses on like an impatient user; the window in which a copy is passed over ends meanwhile.
    const impatient = setInterval(() => running.kill("SIGINT"), 50);
    assert.deepEqual(await exit, [130, null]);
    clearInterval(impatient);
  },
);
