import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../../../src/clock.ts";
import { createDiscipline } from "../../../../src/swarm/conduct/discipline.ts";
import { createEvidenceLog, type EvidenceLog } from "../../../../src/swarm/conduct/evidence.ts";
import type { SwarmEvent } from "../../../../src/swarm/types.ts";

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "pathweave-discipline-"));
});
after(() => rm(directory, { recursive: true, force: true }));

function judgeWith(evidence: EvidenceLog | undefined) {
  const events: SwarmEvent[] = [];
  const done: string[] = [];
  const discipline = createDiscipline({
    network: {
      peerId: "self",
      judgeBy: () => done.push("judge"),
      disconnect: (peer) => done.push(`disconnect ${peer}`),
    },
    evidence,
    now: () => 1000,
    forget: (peer) => done.push(`forget ${peer}`),
    emit: (event) => events.push(event),
  });
  return { discipline, events, done };
}

describe("discipline", () => {
  it("tells of an offence, and shuts out who is blocked, once", async () => {
    const { discipline, events, done } = judgeWith(undefined);
    const charge = { peer: "eve", offence: "malformed-message", reason: "It is cut." } as const;
    await discipline.charge(charge);
    assert.deepEqual(done, ["judge"]);
    await discipline.charge(charge);
    await discipline.charge(charge);
    assert.deepEqual(done, ["judge", "forget eve", "disconnect eve"]);
    assert.deepEqual(
      events.map((event) => event.type),
      ["offence", "offence", "blocked", "offence"],
    );
    assert.ok(discipline.blocked("eve") && discipline.penalty("eve") >= 80);
  });

  it("never charges the peer itself", async () => {
    const { discipline, events } = judgeWith(undefined);
    await discipline.charge({ peer: "self", offence: "contradiction", reason: "Replayed to me." });
    assert.deepEqual(events, []);
    assert.ok(!discipline.blocked("self"));
  });

  it("keeps the evidence with its bytes, one line each, in order", async () => {
    const path = join(directory, "evidence.ndjson");
    const { discipline } = judgeWith(createEvidenceLog(path, systemClock));
    const bytes = Uint8Array.of(1, 2, 3);
    await Promise.all([
      discipline.charge({ peer: "eve", offence: "invalid-record", reason: "Wrong.", cid: "bafy", bytes }),
      discipline.charge({ peer: "eve", offence: "bad-exchange", reason: "Odd." }),
    ]);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, string>);
    assert.ok(Math.abs(Date.parse(first!["time"]!) - Date.now()) < 3_600_000);
    delete first!["time"];
    assert.deepEqual(first, {
      peer: "eve",
      offence: "invalid-record",
      reason: "Wrong.",
      cid: "bafy",
      bytes: Buffer.from(bytes).toString("base64"),
    });
    assert.equal(second!["reason"], "Odd.");
  });
});

describe("the evidence log", () => {
  it("stays below twice its cap, keeps the newest, and goes on after a restart", async () => {
    const folder = await mkdtemp(join(directory, "cap-"));
    const path = join(folder, "evidence.ndjson");
    const cap = 4000;
    for (let restart = 0; restart < 3; restart++) {
      const log = createEvidenceLog(path, systemClock, cap);
      for (let i = 0; i < 40; i++)
        await log.append({ peer: "eve", offence: "bad-exchange", reason: `number ${restart}/${i}` });
    }
    assert.deepEqual(await readdir(folder), ["evidence.ndjson", "evidence.ndjson.old"]);
    for (const name of await readdir(folder)) assert.ok((await stat(join(folder, name))).size <= cap);
    assert.match((await readFile(path, "utf8")).trimEnd().split("\n").at(-1)!, /number 2\/39/);
  });

  it("cuts a large object", async () => {
    const path = join(directory, "large.ndjson");
    const bytes = new Uint8Array(1 << 20);
    await createEvidenceLog(path, systemClock).append({
      peer: "eve",
      offence: "malformed-message",
      reason: "Big.",
      bytes,
    });
    assert.ok((await stat(path)).size < 100_000);
  });
});
