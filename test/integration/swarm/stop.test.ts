/** A peer stops in bounded time, with everything saved, whatever is under way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../../src/log.ts";
import { ROUTER } from "../../../src/objects/manifest.ts";
import type { PathTrainer } from "../../../src/swarm/types.ts";
import { createArena, eventually, quickConfig, quickTrainer, startMember } from "./support.ts";

test("a peer whose training does not let go stops, says what it left, and has saved what it knows", async (t) => {
  const arena = await createArena(t);
  const lines: string[] = [];
  const logger = createLogger("warn", (line) => lines.push(line));
  const trainer: PathTrainer = {
    ...quickTrainer,
    train: (slot, ...rest) => (slot.round < 1 ? quickTrainer.train(slot, ...rest) : new Promise(() => {})),
    close: () => new Promise(() => {}),
  };
  const init = { name: "peer", config: quickConfig(3), bootstrap: [], searchMs: 20_000 };
  const first = await startMember(arena, { ...init, trainer, logger });
  const hangs = (): boolean =>
    first.events.some((event) => event.type === "lease" && event.state === "started" && event.round === 1);
  const trained = (): boolean =>
    first.swarm.heads().every(({ module, generation }) => generation === 1 || module === ROUTER);
  await eventually([first], () => hangs() && trained());
  const heads = first.heads();

  await first.swarm.stop();
  await first.stop();
  arena.members.splice(0);
  assert.match(lines.join("\n"), /stopped without waiting any longer for: .*round 1 of path \d/);
  assert.match(lines.join("\n"), /the engine did not close in time/);

  const again = await startMember(arena, init);
  assert.equal(again.events.find((event) => event.type === "head")?.generation, 1, "it goes on from there");
  assert.ok(heads.includes(again.events.find((event) => event.type === "head")!.cid));
});
