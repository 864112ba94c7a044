import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { InterruptedError } from "../../../src/errors.ts";
import { CLOSED_PIPE, hearClosedPipes, onInterrupt, untilInterrupted } from "../../../node/shutdown.ts";

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

for (const [signal, says] of [
  ["SIGTERM", 1],
  ["SIGHUP", 0],
  ["SIGPIPE", 0],
] as const)
  test(`${signal} names itself as the reason`, () => {
    const { said, source, shutdown } = interruptible();
    source.emit(signal === "SIGPIPE" ? CLOSED_PIPE : signal);
    assert.ok(shutdown.signal.reason instanceof InterruptedError);
    assert.equal(shutdown.signal.reason.signal, signal);
    assert.equal(said.length, says, "nobody reads what is said to a closed terminal");
  });

test("a closed terminal or pipe that is told of again and again forces nothing", () => {
  const { exits, source, clock } = interruptible();
  source.emit("SIGHUP");
  for (const signal of ["SIGHUP", CLOSED_PIPE, CLOSED_PIPE]) {
    clock.now += 1000;
    source.emit(signal);
  }
  assert.deepEqual(exits, []);
  source.emit("SIGTERM");
  assert.deepEqual(exits, [143]);
});

test("a failed write into a closed pipe is its signal, or the end of who does not listen", () => {
  const stream = new EventEmitter();
  const source = new EventEmitter();
  const ends: number[] = [];
  hearClosedPipes([stream], source, (code) => void ends.push(code));
  const closed = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  stream.emit("error", closed);
  assert.deepEqual(ends, [141]);
  let heard = 0;
  source.on(CLOSED_PIPE, () => heard++);
  stream.emit("error", closed);
  assert.deepEqual([heard, ends.length], [1, 1]);
  const full = Object.assign(new Error("write ENOSPC"), { code: "ENOSPC" });
  assert.throws(() => stream.emit("error", full), full);
});

test("a task that is interrupted has its time to clean up, and whatever it ends with is the interruption", async () => {
  const stop = new AbortController();
  const reason = new InterruptedError("SIGINT");
  const failed = untilInterrupted(stop.signal, Promise.reject(new Error("a read failed")));
  await assert.rejects(failed, /a read failed/);
  assert.equal(await untilInterrupted(stop.signal, Promise.resolve(7)), 7);
  const endless = untilInterrupted(stop.signal, new Promise(() => {}), 1);
  const cleaning = Promise.withResolvers<never>();
  const cleaned = untilInterrupted(stop.signal, cleaning.promise, 60_000);
  stop.abort(reason);
  cleaning.reject(new Error("the store was closed"));
  await Promise.all([assert.rejects(endless, reason), assert.rejects(cleaned, reason)]);
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
      console.log("draining " + shutdown.signal.reason.signal);
      if (${drains}) { clearInterval(alive); shutdown[Symbol.dispose](); }
    });
    console.log("ready");`;
  const running = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { running, lines: createInterface(running.stdout)[Symbol.asyncIterator]() };
}

test(
  "a socket whose other end is gone, for which the system sends SIGPIPE, interrupts nobody",
  { skip: process.platform === "win32" },
  async () => {
    const { running, lines } = child(true);
    const exit = once(running, "exit");
    assert.equal((await lines.next()).value, "ready");
    running.kill("SIGPIPE");
    running.kill("SIGINT");
    // It lives until Ctrl-C, and only that is heard.
    assert.equal((await lines.next()).value, "draining SIGINT");
    assert.deepEqual(await exit, [0, null]);
  },
);

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
    assert.equal((await lines.next()).value, "draining SIGINT");
    // Presses on like an impatient user; the window in which a copy is passed over ends meanwhile.
    const impatient = setInterval(() => running.kill("SIGINT"), 50);
    assert.deepEqual(await exit, [130, null]);
    clearInterval(impatient);
  },
);
