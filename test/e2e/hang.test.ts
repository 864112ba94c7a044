/**
 * Peers that hang, with their connections open, when it hurts most: real processes that are stopped by SIGSTOP behind a
 * proxy that delays what they say. The others finish without them, a newcomer gets the run from the others, and who
 * goes on catches up. The auditor reads the disks at the end.
 */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { createChaosProxy } from "../../node/chaos/proxy.ts";
import { prepare } from "../../node/chaos/run.ts";
import { type ChaosSession, startChaos } from "../../node/chaos/session.ts";
import type { ChaosNetwork } from "../../node/chaos/network.ts";
import type { PeerProcess } from "../../node/peer-process.ts";
import type { SessionEvent } from "../../node/session-events.ts";
import { auditDisks } from "../../src/audit/audit.ts";
import { readEventLog } from "../../src/audit/events.ts";
import { replicatedObjects } from "../../src/swarm/modules/replication.ts";
import { createTopology } from "../../src/run/topology.ts";
import { shortPeer } from "../../src/swarm/plan/waiting.ts";
import { createChaosFolder } from "./chaos-run.ts";

/** Fewer than paths, so that a newcomer finds work. */
const PEERS = 3;
/** Rounds of some seconds, so that a newcomer still finds one to train. */
const INNER_STEPS = 90;
/** Longer than it takes to hear of a contribution and stop its maker; a want takes three of these to arrive. */
const FAR = { bytesPerSecond: 4 << 20, latencyMs: 300 };

let folder: string;
let made: Awaited<ReturnType<typeof createChaosFolder>>;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "pathweave-hang-"));
  made = await createChaosFolder(folder, { innerSteps: INNER_STEPS });
});
after(() => rm(folder, { recursive: true, force: true }));

interface Arena {
  session: ChaosSession;
  network: ChaosNetwork;
  directory: string;
  /** Resolves when the condition holds, which is looked at after every event of any peer. */
  until(condition: () => boolean): Promise<void>;
  /** Everything that a peer has said. */
  said(peer: PeerProcess): SessionEvent[];
  idOf(peer: PeerProcess): string;
  freeze(peer: PeerProcess): void;
  thaw(peer: PeerProcess): void;
}

async function startArena(t: TestContext, name: string): Promise<Arena> {
  const directory = path.join(folder, name);
  await prepare({ ...made, directory });
  const network = await createChaosProxy();
  const session = await startChaos({
    ...made,
    directory,
    peers: PEERS,
    logLevel: "error",
    network,
    signal: t.signal,
  });
  const { swarm, log } = session;
  const changes = new EventEmitter();
  swarm.onEvent(() => changes.emit("event"));
  const frozen = new Set<PeerProcess>();
  t.after(async () => {
    for (const peer of frozen) peer.resume();
    await session.stop();
  });
  const said = (peer: PeerProcess): SessionEvent[] =>
    log.events.flatMap((entry) => ("event" in entry && entry.peer === peer.name ? [entry.event] : []));
  const idOf = (peer: PeerProcess): string => {
    const started = said(peer).findLast((event) => event.type === "started");
    assert.ok(started !== undefined);
    return started.peer;
  };
  const arena: Arena = {
    session,
    network,
    directory,
    said,
    idOf,
    async until(condition) {
      while (!condition()) await once(changes, "event", { signal: t.signal });
    },
    freeze(peer) {
      peer.pause();
      frozen.add(peer);
      log.fault("pause", [peer.name]);
    },
    thaw(peer) {
      peer.resume();
      frozen.delete(peer);
      log.fault("resume", [peer.name]);
    },
  };
  await Promise.all(swarm.peers.map((peer) => peer.ready));
  return arena;
}

const headsOf = (peer: PeerProcess): string => JSON.stringify([...peer.heads].toSorted());
const finished = (peers: readonly PeerProcess[]): boolean =>
  peers.every((peer) => peer.done) && new Set(peers.map(headsOf)).size === 1;

type LeaseEvent = SessionEvent & { type: "lease" };

/** A peer other than the creator that has begun a round after the first, and its lease. */
async function inRound({ session, until, said }: Arena): Promise<{ victim: PeerProcess; lease: LeaseEvent }> {
  const find = (): { victim: PeerProcess; lease: LeaseEvent } | undefined =>
    session.swarm.peers
      .slice(1)
      .flatMap((victim) => {
        const lease = said(victim).findLast((event) => event.type === "lease");
        return lease === undefined ? [] : [{ victim, lease }];
      })
      .find(({ lease }) => lease.state === "started" && lease.round >= 1);
  await until(() => find() !== undefined);
  return find()!;
}

/** Stops all peers, and has the auditor judge what they leave. */
async function judge({ session, directory }: Arena): Promise<void> {
  const names = session.swarm.peers.map(({ name }) => name);
  await session.stop();
  const audit = await auditDisks({
    directories: names.map((name) => path.join(directory, name)),
    events: readEventLog(session.events),
  });
  assert.deepEqual(audit.problems, []);
  assert.ok(audit.headsAgree);
  assert.deepEqual([audit.lost, audit.foldedTwice, audit.diedWithDisk, audit.waiting], [0, 0, 0, 0]);
  assert.equal(audit.folded + audit.rejected, audit.contributions);
}

test("a peer that hangs while others fetch what it announced holds up neither them nor a newcomer", async (t) => {
  const arena = await startArena(t, "contribution");
  const { session, network, until, said, idOf } = arena;
  const { swarm } = session;
  const { victim, lease } = await inRound(arena);
  await network.slow(victim.name, FAR);
  const others = swarm.peers.filter((peer) => peer !== victim);
  const modules = createTopology(made.manifest.config).modulesOfPath(lease.path);
  const announced = (module: string): boolean =>
    others.some((peer) =>
      said(peer).some(
        (event) =>
          event.type === "contribution" &&
          event.from === idOf(victim) &&
          event.round === lease.round &&
          event.module === module,
      ),
    );
  await until(() => modules.every(announced));
  arena.freeze(victim);
  const since = session.log.events.length;

  const joiner = swarm.start("joiner");
  await joiner.ready;
  await until(() => finished([...others, joiner]));
  assert.ok(!victim.done, "the frozen peer had no part in it");

  const waits = session.log.events
    .slice(since)
    .flatMap((entry) => ("event" in entry && entry.event.type === "waiting" ? [entry.event.reason] : []));
  const short = shortPeer(idOf(victim));
  const explained = waits.filter(
    (line) => line.includes(short) && /taking over in|lease ends in|asking/.test(line),
  );
  assert.notEqual(explained.length, 0, `somebody says what it wants of ${short}: ${waits.join(" | ")}`);

  arena.thaw(victim);
  await network.slow(victim.name, undefined);
  await until(() => finished(swarm.peers));
  await judge(arena);
});

test("a newcomer that downloads from a peer that hangs gets the rest from the others", async (t) => {
  const arena = await startArena(t, "joiner");
  const { session, network, until, said, idOf } = arena;
  const { swarm } = session;
  const donors = [...swarm.peers];
  const joiner = swarm.start("joiner");
  await joiner.ready;
  await network.slow("joiner", FAR);
  const asked = (peer: PeerProcess): boolean =>
    said(joiner).some(
      (event) =>
        event.type === "waiting" &&
        / of \d+ blocks?\b/.test(event.reason) &&
        event.reason.includes(shortPeer(idOf(peer))),
    );
  await until(() => donors.slice(1).some(asked));
  const victim = donors.slice(1).find(asked)!;
  arena.freeze(victim);
  await network.slow("joiner", undefined);

  const others = donors.filter((peer) => peer !== victim);
  const objects = replicatedObjects(made.manifest, []).map(String);
  // Of three that are left each keeps all that the run is started again from.
  await until(() => finished([...others, joiner]) && objects.every((cid) => joiner.holds.has(cid)));
  assert.ok(!victim.done, "the frozen peer had no part in it");

  arena.thaw(victim);
  await until(() => finished(swarm.peers));
  await judge(arena);
});

test("peers stop in order, with everything saved, while another hangs", async (t) => {
  const arena = await startArena(t, "stop");
  const { session, said } = arena;
  const { victim } = await inRound(arena);
  arena.freeze(victim);
  const others = session.swarm.peers.filter((peer) => peer !== victim);
  await Promise.all(others.map((peer) => peer.stop()));
  for (const peer of others) {
    assert.equal(peer.exit, "exit code 0", `${peer.name} was not forced`);
    assert.equal(said(peer).at(-1)?.type, "stopped");
    const audit = await auditDisks({ directories: [path.join(arena.directory, peer.name)] });
    assert.deepEqual(new Map(Object.entries(audit.heads)), peer.heads, `${peer.name} has saved its heads`);
  }

  arena.thaw(victim);
  for (const { name } of others) session.swarm.start(name);
  await arena.until(() => finished(session.swarm.peers));
  await judge(arena);
});
