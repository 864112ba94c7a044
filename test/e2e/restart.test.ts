/** One peer trains a whole run by itself, is killed, and goes on from its disk alone, keeping only recent tensors. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { observe } from "../../node/observe.ts";
import type { SessionEvent } from "../../node/session-events.ts";
import { createTinyRun, PATHWEAVE, ROUNDS } from "./tiny-run.ts";
import { awaited, patient } from "../waits.ts";

const signal = patient;
let directory: string;
let data: string;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-restart-"));
  data = path.join(directory, "peer");
  // Rounds of some seconds, so that a peer can be told to end in the middle of one.
  const training = { innerSteps: 160 };
  // On a slow machine a generation would be closed without the paths that come last, and there would be more of them.
  await createTinyRun(directory, data, { swarm: { retainGenerations: 1, graceSeconds: 3600 }, training });
});
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

function join(): {
  child: ChildProcess;
  until(found: (event: SessionEvent) => boolean): Promise<SessionEvent>;
} {
  const args = [PATHWEAVE, "join", "--data", data, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  return {
    child,
    until(found) {
      const event = new Promise<SessionEvent>((resolve, reject) => {
        lines.on("line", (line) => {
          const event = JSON.parse(line) as SessionEvent;
          if (found(event)) resolve(event);
        });
        child.once("exit", (code) => reject(new Error(`the peer ended with ${code}`)));
      });
      return awaited(`a word of a peer such that ${String(found)}`, event);
    },
  };
}

test("a run survives the death of its only peer, and one peer trains all paths", async () => {
  const first = join();
  await first.until((event) => event.type === "step" && event.round === 1 && event.step > 1);
  first.child.kill("SIGKILL");
  await once(first.child, "exit");

  // Told to end in the middle of a round, a peer goes on from there.
  const interrupted = join();
  const half = (await interrupted.until(
    (event) => event.type === "step" && event.step > event.steps / 3,
  )) as SessionEvent & { type: "step" };
  interrupted.child.kill("SIGINT");
  assert.deepEqual(await once(interrupted.child, "exit"), [0, null]);

  const second = join();
  const again: number[] = [];
  const started = second.until((event) => event.type === "started");
  const restored = second.until((event) => event.type === "head" && event.generation >= 1);
  const done = second.until((event) => {
    if (event.type === "step" && event.round === half.round && event.path === half.path)
      again.push(event.step);
    return event.type === "done";
  });
  const { invite } = (await started) as SessionEvent & { type: "started" };
  await restored;
  await done;
  assert.ok(
    again.every((step) => step > half.step),
    `after step ${half.step} it goes on with ${again[0]}`,
  );
  await observe(
    { invite, data: "", bootstrap: [], mdns: false, "log-level": "warn" },
    signal,
    async (peer) => {
      for (const { name, paths } of peer.topology.modules) {
        const lineage = peer.swarm.lineage(name);
        assert.equal(lineage.head().generation, ROUNDS, `${name} has all its generations`);
        assert.equal(
          lineage.contributions().filter(({ cid }) => lineage.folded(cid)).length,
          ROUNDS * paths.length,
        );
        // The head's tensors are there for a newcomer, though older ones are gone.
        const parameters = await peer.swarm.parameters(name, "head", signal);
        assert.ok(parameters.every(Number.isFinite));
      }
    },
  );
  second.child.kill("SIGINT");
  assert.deepEqual(await once(second.child, "exit"), [0, null]);
});
