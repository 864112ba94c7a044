/** A private run with a list of peers, as people use it: real commands, one after another. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { promisify } from "node:util";
import type { SessionEvent } from "../../node/session-events.ts";
import { decodeInvite } from "../../src/run/invite.ts";
import { createTinyRun, PATHWEAVE } from "./tiny-run.ts";
import { patient } from "../waits.ts";

const signal = patient;
const directory = await mkdtemp(path.join(tmpdir(), "pathweave-admission-"));
const running = new Set<ChildProcess>();
/** All that any peer said, on both streams. */
let said = "";
after(async () => {
  for (const child of running) child.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

const at = (name: string): string => path.join(directory, name);

async function pathweave(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [PATHWEAVE, ...args], { signal });
  return stdout.trim();
}

/** Starts a peer; its logs are at the most detailed level. */
function join(name: string, ...args: string[]) {
  const own = ["--data", at(name), "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--threads", "1"];
  const child = spawn(
    process.execPath,
    [PATHWEAVE, "join", ...own, "--json", "--log-level", "debug", ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  running.add(child);
  const lines: string[] = [];
  const changed = new EventTarget();
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      said += `${line}\n`;
      changed.dispatchEvent(new Event("line"));
    });
  const exited = once(child, "exit");
  return {
    lines,
    exited,
    async until(found: (line: string) => boolean): Promise<string> {
      for (;;) {
        const line = lines.find(found);
        if (line !== undefined) return line;
        const next = Promise.withResolvers<void>();
        changed.addEventListener("line", () => next.resolve(), { once: true });
        const ended = exited.then(([code]) => assert.fail(`${name} ended with ${code}: ${lines.at(-1)}`));
        await Promise.race([next.promise, ended]);
      }
    },
    async stop(): Promise<void> {
      child.kill("SIGINT");
      assert.deepEqual(await exited, [0, null]);
      running.delete(child);
    },
  };
}

test("members join a private run with a list; who has the key but is off the list does not", async () => {
  const owner = await pathweave("id", "--data", at("owner"));
  const worker = await pathweave("id", "--data", at("worker"));
  const observer = await pathweave("id", "--data", at("owner"), "--observer");
  await assert.rejects(
    createTinyRun(directory, at("owner"), { admission: { peers: [worker] } }),
    new RegExp(`does not admit the peer in .*owner itself\\. Add ${owner} to admission\\.peers`),
  );
  await createTinyRun(directory, at("owner"), { admission: { peers: [owner, worker, observer] } }, [
    "--private",
  ]);

  const first = join("owner");
  const started = await first.until((line) => line.includes(`"type":"started"`));
  assert.equal((JSON.parse(started) as SessionEvent & { type: "started" }).invite, undefined);
  const invite = await pathweave("invite", "--data", at("owner"));
  await writeFile(at("invite"), invite);
  const key = decodeInvite(invite).swarmKey!;
  assert.equal((await stat(at("owner/invite"))).mode & 0o777, 0o600);

  const joined = (peer: string) => (line: string) =>
    line.includes(`"type":"member","peer":"${peer}","role":"worker","state":"joined"`);
  const second = join("worker", "--invite-file", at("invite"));
  await Promise.all([first.until(joined(worker)), second.until(joined(owner))]);
  await second.stop();
  const again = join("worker");
  await again.until(joined(owner));

  const stranger = join("stranger", "--invite-file", at("invite"));
  const [code] = await stranger.exited;
  assert.equal(code, 1);
  assert.ok(stranger.lines.includes("pathweave: No bootstrap is reachable:"));
  assert.match(
    stranger.lines.at(-1)!,
    /If the run admits listed peers only, ask its owner whether 12D3Koo\w+ is/,
  );
  const refusals = first.lines.filter((line) => line.includes("refused"));
  assert.equal(refusals.length, 1, refusals.join("\n"));
  assert.match(refusals[0]!, /it is not on the list of peers that the run admits$/);

  const status = JSON.parse(await pathweave("status", "--data", at("owner"), "--no-mdns", "--json")) as {
    peers: { peer: string }[];
  };
  assert.ok([owner, worker].every((peer) => status.peers.some((seen) => seen.peer === peer)));
  await Promise.all([first.stop(), again.stop()]);

  const hex = Buffer.from(key).toString().split("\n")[2]!;
  assert.equal(hex.length, 64);
  assert.ok(said.length > 1000);
  // The slice is of the middle of the key.
  for (const form of [hex, Buffer.from(hex, "hex").toString("base64"), invite.slice(160, 240), "pathweave1"])
    assert.ok(!said.includes(form), form);
});
