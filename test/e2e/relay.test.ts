/**
 * Two peers that nobody can dial, with the flags that everybody has, and a bootstrap node: they find each other through
 * it, train, and find each other again when it was killed. Real commands on a real network; see `apart.ts`.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import type { SessionEvent } from "../../node/session-events.ts";
import { readEvent } from "../../node/session-events.ts";
import { decodeInvite } from "../../src/run/invite.ts";
import { createApart } from "./apart.ts";
import { createTinyRun, PATHWEAVE, PROJECT } from "./tiny-run.ts";

const BOOTSTRAP = path.join(PROJECT, "bootstrap/pathweave-bootstrap.ts");
const directory = await mkdtemp(path.join(tmpdir(), "pathweave-relay-"));
const network = await createApart("pwrel");
const running = new Set<ChildProcess>();
after(async () => {
  const left = [...running].filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  for (const child of left) child.kill("SIGKILL");
  await Promise.all(left.map((child) => once(child, "exit")));
  await network.close();
  await rm(directory, { recursive: true, force: true });
});

const at = (name: string): string => path.join(directory, name);

/** A program in its namespace; what it prints can be waited for. */
function start(name: "bootstrap" | "one" | "two", args: string[]) {
  const [command, ...rest] = [...network.command(name), process.execPath, ...args];
  const child = spawn(command!, rest, { stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  const lines: string[] = [];
  const changed = new EventTarget();
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    changed.dispatchEvent(new Event("line"));
  });
  const exited = once(child, "exit");
  const ended = exited.then(([code]) => assert.fail(`${name} ended with ${code}: ${lines.at(-1)}`));
  ended.catch(() => {});
  /** Resolves to the first wanted line from a place on, and where the next one is. */
  async function find<T extends object>(
    from: number,
    wanted: (line: string) => T | undefined,
  ): Promise<{ found: T; next: number }> {
    for (let at = from; ;) {
      for (; at < lines.length; at++) {
        const found = wanted(lines[at]!);
        if (found !== undefined) return { found, next: at + 1 };
      }
      const news = Promise.withResolvers<void>();
      changed.addEventListener("line", () => news.resolve(), { once: true });
      await Promise.race([news.promise, ended]);
    }
  }
  let read = 0;
  return {
    /** The next wanted event after the one that was waited for before. */
    async until<T extends object>(wanted: (line: string) => T | undefined): Promise<T> {
      const { found, next } = await find(read, wanted);
      read = next;
      return found;
    },
    /** The first wanted event, whenever it comes or came. */
    async ever<T extends object>(wanted: (line: string) => T | undefined): Promise<T> {
      return (await find(0, wanted)).found;
    },
    async kill(signal: NodeJS.Signals): Promise<void> {
      child.kill(signal);
      await exited;
      running.delete(child);
    },
  };
}

function event<T extends SessionEvent["type"]>(
  type: T,
  holds: (event: SessionEvent & { type: T }) => boolean = () => true,
): (line: string) => (SessionEvent & { type: T }) | undefined {
  return (line) => {
    const read = readEvent(line) as (SessionEvent & { type: T }) | undefined;
    return read?.type === type && holds(read) ? read : undefined;
  };
}

test(`two peers that nobody can dial train together (${network.kind})`, async () => {
  const boot = (listen: string) =>
    start("bootstrap", [BOOTSTRAP, "--json", "--data", at("bootstrap"), "--listen", listen]);
  const bootstrap = boot(network.listen);
  const { addresses } = await bootstrap.until((line) => JSON.parse(line) as { addresses: string[] });
  const relay = addresses.find((address) => network.isGiven(address))!;
  await createTinyRun(directory, at("one"), { training: { rounds: 2, innerSteps: 30 } }, [
    "--bootstrap",
    relay,
  ]);

  const flags = [...network.peerFlags, "--no-mdns", "--threads", "1", "--json"];
  const one = start("one", [PATHWEAVE, "join", "--data", at("one"), ...flags]);
  const { invite, relays } = await one.until(event("reach", ({ relays: held }) => held.length > 0));
  assert.ok(relays.every((address) => address.includes("/p2p-circuit")));
  const invited = decodeInvite(invite!).bootstrap;
  assert.ok(invited.includes(relay), "the bootstrap is in the invite");
  assert.ok(
    invited.some((address) => address.startsWith(`${relay}/p2p-circuit/`)),
    "so is the way through it",
  );

  if (network.routable !== undefined)
    assert.ok(invited[0]!.startsWith(network.routable) || invited[1]!.startsWith(network.routable));

  const two = start("two", [PATHWEAVE, "join", invite!, "--data", at("two"), ...flags]);
  const { peer } = await two.until(event("started"));
  await one.until(event("member", (member) => member.state === "joined" && member.peer === peer));
  await two.until(event("lease", ({ state }) => state === "completed"));

  await bootstrap.kill("SIGKILL");
  await Promise.all(
    [one, two].map((one) => one.until(event("reach", ({ relays: held }) => held.length === 0))),
  );
  const again = boot(relay.replace(/^\/ip4\/45[.\d]+(.*)\/p2p.*/, "/ip4/0.0.0.0$1").replace(/\/p2p\/.*/, ""));
  await Promise.all(
    [one, two].map((one) => one.until(event("reach", ({ relays: held }) => held.length > 0))),
  );
  // Each needs the other's work for its last generation. Who has it may be done before the bootstrap node is back.
  await Promise.all([one.ever(event("done")), two.ever(event("done"))]);
  for (const program of [one, two, again]) await program.kill("SIGINT");
});
