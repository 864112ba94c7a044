/** The proxy between real processes that knows nothing of what they say. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { createInterface, type Interface } from "node:readline";
import type { ChaosNetwork } from "../../node/chaos/network.ts";
import { createChaosProxy } from "../../node/chaos/proxy.ts";

/** Says its port, then repeats what it hears. */
const ECHO = `const s = require("node:net").createServer((c) => c.pipe(c).on("error", () => {}));
s.listen(0, "127.0.0.1", () => console.log(s.address().port));`;
/** Sends what it reads and prints what comes back; ends with the connection. */
const CLIENT = `const c = require("node:net").connect({ host: "127.0.0.1", port: Number(process.argv[1]) });
process.stdin.pipe(c); c.pipe(process.stdout);
c.on("error", () => {}).on("close", () => process.exit(3));`;

let proxy: ChaosNetwork;
let children: ChildProcess[];
beforeEach(async () => {
  proxy = await createChaosProxy();
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await proxy.close();
});

function start(name: string, code: string, ...args: string[]): { child: ChildProcess; lines: Interface } {
  const { command, environment } = proxy.launch(name);
  const child = spawn(command[0]!, [...command.slice(1), "-e", code, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  children.push(child);
  return { child, lines: createInterface({ input: child.stdout }) };
}

async function pair(): Promise<{ child: ChildProcess; say(text: string): Promise<string> }> {
  const server = start("server", ECHO);
  const [port] = (await once(server.lines, "line")) as [string];
  const { child, lines } = start("client", CLIENT, port);
  return {
    child,
    async say(text) {
      const heard = once(lines, "line") as Promise<[string]>;
      child.stdin!.write(`${text}\n`);
      return (await heard)[0];
    },
  };
}

test("bytes pass, also over a slow link", async () => {
  const { say } = await pair();
  assert.equal(await say("hello"), "hello");
  await proxy.slow("server", { bytesPerSecond: 10_000, latencyMs: 5 });
  const long = "x".repeat(1000);
  assert.equal(await say(long), long);
});

test("a cut cable holds bytes back until it is mended, and loses none", async () => {
  const { say } = await pair();
  await say("before");
  await proxy.partition({ side: new Set(["server"]), mode: "drop" });
  let mended = false;
  const echo = say("during").then((text) => {
    assert.ok(mended, "nothing came through the cut");
    return text;
  });
  await reachable();
  mended = true;
  await proxy.partition(undefined);
  assert.equal(await echo, "during");
});

test("processes on the same side still reach each other", async () => {
  const { say } = await pair();
  await proxy.partition({ side: new Set(["somebody else"]), mode: "reset" });
  assert.equal(await say("hello"), "hello");
});

test("a reset breaks the connections between the sides", async () => {
  const { child, say } = await pair();
  await say("before");
  const exit = once(child, "exit");
  await proxy.partition({ side: new Set(["client"]), mode: "reset" });
  assert.deepEqual(await exit, [3, null]);
});

test("a port that nobody listens on is refused", async () => {
  const { child } = start("client", CLIENT, "1");
  assert.deepEqual(await once(child, "exit"), [3, null]);
});

/** Resolves when a whole exchange over the proxy, started after all that was said before, is over. */
async function reachable(): Promise<void> {
  const server = start("other-server", ECHO);
  const [port] = (await once(server.lines, "line")) as [string];
  const { child, lines } = start("other-client", CLIENT, port);
  child.stdin!.write("ping\n");
  await once(lines, "line");
}
