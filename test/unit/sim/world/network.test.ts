/** The faults of the network in memory: what a peer notices of them, and when. What works without them is in test/compliance. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { delay, timeout } from "../../../../src/clock.ts";
import type { BlockSource } from "../../../../src/store/fetch-job.ts";
import { rawBlock } from "../../../../src/objects/object.ts";
import { createRandom } from "../../../../src/random.ts";
import {
  type JoinOptions,
  type LinkConditions,
  MemoryNetwork,
  type MemoryPeer,
} from "../../../../src/sim/world/network.ts";
import { Timeline } from "../../../../src/sim/world/timeline.ts";

const TOPIC = "pathweave/test";
const ECHO = "/pathweave/test/1";

interface World {
  clock: Timeline;
  net: MemoryNetwork;
  /** Peers that know the first, and what happened to each since. */
  peers: MemoryPeer[];
  log: string[];
  join(seed: number, options?: Partial<JoinOptions>): Promise<MemoryPeer>;
}

function nameOf(peers: readonly MemoryPeer[], id: string): string {
  return peers.find(({ network }) => network.peerId === id)?.name ?? "?";
}

/** Peers that are connected with each other, listen to a topic and answer. */
async function world(
  t: TestContext,
  size: number,
  links: Partial<LinkConditions> = {},
  seed = 1,
): Promise<World> {
  const clock = new Timeline();
  const net = new MemoryNetwork({ clock, random: createRandom(seed), links });
  let ended = false;
  t.after(() => (ended = true));
  void clock.run(Number.MAX_SAFE_INTEGER, () => ended);
  const peers: MemoryPeer[] = [];
  const log: string[] = [];
  const join: World["join"] = async (number, options = {}) => {
    const privateKey = await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(number));
    const peer = net.join({ privateKey, bootstrap: peers[0]?.network.addresses() ?? [], ...options });
    peers.push(peer);
    const note = (what: string): void => void log.push(`${Math.round(clock.now())} ${peer.name} ${what}`);
    peer.network.onPeer((other, event) => note(`${event} ${nameOf(peers, other)}`));
    peer.network.subscribe(TOPIC, {
      validate: (_from, data) => data,
      deliver: (from, data) => note(`hears ${nameOf(peers, from)} ${Buffer.from(data).toString()}`),
    });
    await peer.network.handle(ECHO, async (_from, data) => data);
    return peer;
  };
  for (let number = 1; number <= size; number++) await join(number);
  await delay(clock, 10_000);
  for (const peer of peers) assert.equal(neighbours(peer), size - 1);
  log.length = 0;
  return { clock, net, peers, log, join };
}

/** Peers that it is connected with; two that dial each other at once get two connections. */
const neighbours = ({ network }: MemoryPeer): number =>
  new Set(network.connections().map(({ peer }) => peer)).size;
const idOf = ({ network }: MemoryPeer): string => network.peerId;
const say = ({ network }: MemoryPeer, text: string): Promise<string[]> =>
  network.publish(TOPIC, Buffer.from(text));
const heardBy = (log: readonly string[], { name }: MemoryPeer): string[] =>
  log.filter((line) => line.includes(` ${name} hears `)).map((line) => line.split(" hears ")[1]!);

test("one seed is one execution, another is another", async (t) => {
  const bad = { loss: 0.2, duplication: 0.3, reordering: 0.5 };
  const logs: string[][] = [];
  for (const seed of [1, 1, 2]) {
    const { clock, peers, log, net } = await world(t, 4, bad, seed);
    for (let count = 0; count < 20; count++) {
      for (const peer of peers) void say(peer, String(count));
      if (count === 10) net.part([[idOf(peers[0]!)], peers.slice(1).map(idOf)]);
      await delay(clock, 10_000);
    }
    logs.push(log);
  }
  assert.ok(logs[0]!.length > 50);
  assert.deepEqual(logs[0], logs[1]);
  assert.notDeepEqual(logs[0], logs[2]);
});

test("a message comes once, in spite of doubled frames, and in order unless frames overtake", async (t) => {
  const { clock, peers, log } = await world(t, 2, { duplication: 1 });
  for (let count = 0; count < 30; count++) await say(peers[0]!, String(count));
  await delay(clock, 5_000);
  const inOrder = Array.from({ length: 30 }, (_, count) => `p0 ${count}`);
  assert.deepEqual(heardBy(log, peers[1]!), inOrder);

  const other = await world(t, 2, { reordering: 0.5 });
  for (let count = 0; count < 30; count++) await say(other.peers[0]!, String(count));
  await delay(other.clock, 5_000);
  const heard = heardBy(other.log, other.peers[1]!);
  assert.notDeepEqual(heard, inOrder);
  assert.deepEqual(heard.toSorted(), inOrder.toSorted());
});

test("a request is asked once, in spite of doubled frames", async (t) => {
  const { clock, peers } = await world(t, 2, { duplication: 1 });
  const [one, two] = peers as [MemoryPeer, MemoryPeer];
  let asked = 0;
  await two.network.handle(ECHO, async (_from, data) => {
    asked++;
    return data;
  });
  await one.network.request(idOf(two), ECHO, Buffer.from("?"));
  await delay(clock, 1_000);
  assert.equal(asked, 1);
});

test("what is lost is lost; a request then ends at its deadline", async (t) => {
  const { clock, net, peers, log } = await world(t, 2);
  const [one, two] = peers as [MemoryPeer, MemoryPeer];
  net.shape({ loss: 1 }, idOf(two));
  assert.deepEqual(await say(one, "lost"), [idOf(two)]);
  await assert.rejects(one.network.request(idOf(two), ECHO, Buffer.from("?")), /took longer than 60 s/);
  assert.equal(neighbours(one), 1, "a link that loses messages is still one");
  net.unshape();
  await say(one, "heard");
  await delay(clock, 1_000);
  assert.deepEqual(heardBy(log, two), ["p0 heard"]);
});

test("a slow link takes its time, for each direction", async (t) => {
  const { clock, net, peers } = await world(t, 3);
  const [one, two, three] = peers as [MemoryPeer, MemoryPeer, MemoryPeer];
  net.shape({ bytesPerSecond: 100_000 }, idOf(one), idOf(two));
  const time = async (other: MemoryPeer): Promise<number> => {
    const began = clock.now();
    await one.network.request(idOf(other), ECHO, new Uint8Array(1_000_000));
    return clock.now() - began;
  };
  const slow = await time(two);
  assert.ok(slow >= 20_000 && slow < 21_000, `${slow} ms`);
  assert.ok((await time(three)) < 100);
});

test("a short partition delays, a long one ends connections, and the halves meet again", async (t) => {
  const { clock, net, peers, log } = await world(t, 4);
  const [one, two, three, four] = peers as [MemoryPeer, MemoryPeer, MemoryPeer, MemoryPeer];
  const halves = [
    [idOf(one), idOf(two)],
    [idOf(three), idOf(four)],
  ];
  net.part(halves);
  await say(one, "early");
  await delay(clock, 30_000);
  assert.deepEqual(
    [two, three, four].map((peer) => heardBy(log, peer)),
    [["p0 early"], [], []],
  );
  net.heal();
  await delay(clock, 1_000);
  assert.deepEqual(
    [three, four].map((peer) => heardBy(log, peer)),
    [["p0 early"], ["p0 early"]],
  );
  assert.ok(!log.some((line) => line.includes("disconnect")));

  net.part(halves);
  const parted = clock.now();
  await delay(clock, 120_000);
  const lost = log.filter((line) => line.includes("disconnect"));
  assert.equal(lost.length, 8, "each of the four links, at both ends");
  for (const line of lost) {
    const after = Number(line.split(" ")[0]) - parted;
    assert.ok(after >= 60_000 && after <= 70_001, line);
  }
  assert.equal(neighbours(one), 1);
  await assert.rejects(one.network.dial(three.network.addresses()[0]!), /timed out after 6 s/);
  net.heal();
  await delay(clock, 60_000);
  assert.ok(neighbours(one) >= 1);
  // The first is everybody's bootstrap, so the others find it again.
  for (const peer of [three, four])
    assert.ok(peer.network.connections().some(({ peer: id }) => id === idOf(one)));
});

test("a paused peer hears and says nothing until it goes on; then it hears all, if it was not long", async (t) => {
  const { clock, net, peers, log } = await world(t, 3);
  const [one, two] = peers as [MemoryPeer, MemoryPeer];
  net.pause(idOf(two));
  await say(one, "meanwhile");
  await say(two, "stopped");
  const asked = one.network.request(idOf(two), ECHO, Buffer.from("?"));
  await delay(clock, 40_000);
  assert.deepEqual(
    log.filter((line) => line.includes("p1")),
    [],
  );
  net.resume(idOf(two));
  assert.equal(Buffer.from(await asked).toString(), "?");
  await delay(clock, 1_000);
  assert.deepEqual(heardBy(log, two), ["p0 meanwhile"]);
  assert.deepEqual(heardBy(log, one), ["p1 stopped"]);

  net.pause(idOf(two));
  await delay(clock, 100_000);
  assert.equal(neighbours(one), 1, "given up");
  assert.equal(neighbours(two), 2, "it noticed nothing");
  net.resume(idOf(two));
  await delay(clock, 40_000);
  assert.equal(neighbours(one), 2, "it came back");
  assert.equal(neighbours(two), 2);
});

test("of a killed process the others see the connections close; nothing comes back to it; it may come again", async (t) => {
  const { clock, net, peers, log, join } = await world(t, 3);
  const [one, two, three] = peers as [MemoryPeer, MemoryPeer, MemoryPeer];
  let settled = false;
  const note = (): void => void (settled = true);
  two.network.request(idOf(one), ECHO, Buffer.from("?")).then(note, note);
  two.network.dial("/ip4/10.9.9.9/tcp/1").then(note, note);
  net.kill(idOf(two));
  two.network.publish(TOPIC, Buffer.from("dead")).then(note, note);
  await delay(clock, 100_000);
  assert.equal(settled, false);
  assert.deepEqual(log.map((line) => line.split(" ").slice(1).join(" ")).toSorted(), [
    "p0 disconnect p1",
    "p2 disconnect p1",
  ]);
  const [address] = two.network.addresses();
  const again = await join(2);
  assert.deepEqual(again.network.addresses(), [address]);
  await delay(clock, 10_000);
  for (const peer of [one, three, again]) assert.equal(neighbours(peer), 2);
});

test("of a machine that vanishes nothing is seen for a minute", async (t) => {
  const { clock, net, peers, log } = await world(t, 2);
  net.kill(idOf(peers[1]!), { vanishes: true });
  await delay(clock, 55_000);
  assert.deepEqual(log, []);
  await delay(clock, 20_000);
  assert.equal(log.length, 1);
  assert.match(log[0]!, /p0 disconnect p1/);
});

test("two processes with one identity are both heard, and one of them is told", async (t) => {
  const { clock, peers, log, join } = await world(t, 2);
  const [one, two] = peers as [MemoryPeer, MemoryPeer];
  const clone = await join(2);
  assert.notDeepEqual(clone.network.addresses(), two.network.addresses());
  await delay(clock, 10_000);
  await say(two, "first");
  await say(clone, "second");
  await say(one, "to either");
  await delay(clock, 1_000);
  assert.deepEqual(heardBy(log, one).toSorted(), ["p1 first", "p1 second"]);
  assert.equal(heardBy(log, two).length + heardBy(log, clone).length, 1);
});

test("strangers to a key, a list or the protocol are kept out, each by what keeps them out", async (t) => {
  const { clock, peers, join, log } = await world(t, 2);
  const [one] = peers as [MemoryPeer];
  const keyed = await join(3, { swarmKey: "another" });
  await delay(clock, 20_000);
  assert.deepEqual(keyed.network.connections(), []);
  await assert.rejects(keyed.network.dial(one.network.addresses()[0]!), /no handshake/);
  const later = await join(4, { protocol: 3 });
  const same = `/pathweave/2/test`;
  const heard: string[] = [];
  for (const [peer, name] of [
    [one, "one"],
    [later, "later"],
  ] as const)
    peer.network.subscribe(same, { validate: (_from, data) => data, deliver: () => heard.push(name) });
  await delay(clock, 20_000);
  assert.ok(neighbours(later) > 0);
  assert.deepEqual(await later.network.publish(same, Buffer.from("from the future")), []);
  assert.deepEqual(heard, []);
  assert.ok(!log.some((line) => line.includes("hears p3")));
});

test("a message that is said again long after is heard again; until then it is not", async (t) => {
  const { clock, peers, log } = await world(t, 3);
  const [one, two, three] = peers as [MemoryPeer, MemoryPeer, MemoryPeer];
  const kept = Promise.withResolvers<Parameters<MemoryPeer["repeat"]>[0]>();
  two.onMessage((message) => kept.resolve(message));
  await say(one, "once");
  const message = await kept.promise;
  await delay(clock, 1_000);
  two.repeat(message);
  await delay(clock, 1_000);
  assert.deepEqual(heardBy(log, three), ["p0 once"]);
  await delay(clock, 120_000);
  two.repeat(message, [idOf(three)]);
  await delay(clock, 1_000);
  assert.deepEqual(heardBy(log, three), ["p0 once", "p0 once"]);
});

test("a block of which a piece is lost does not come, and a false one is not taken", async (t) => {
  const { clock, net, peers } = await world(t, 2);
  const [one, two] = peers as [MemoryPeer, MemoryPeer];
  const block = rawBlock(new Uint8Array(300_000).fill(5));
  let given: Uint8Array = block.bytes;
  one.source({ serve: async () => given, put: async () => {} });
  const taken: Uint8Array[] = [];
  const source: BlockSource = two.source({
    serve: async () => undefined,
    put: async (_cid, bytes) => void taken.push(bytes),
  });
  const ask = (): Promise<number> => source.ask(block.cid, idOf(one), timeout(clock, 30_000));
  assert.equal(await ask(), 300_000);
  given = block.bytes.with(7, 6);
  await assert.rejects(ask(), { name: "TimeoutError" });
  given = block.bytes;
  net.shape({ loss: 1 }, idOf(one));
  await assert.rejects(ask(), { name: "TimeoutError" });
  assert.equal(taken.length, 1);
});
