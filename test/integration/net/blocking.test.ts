/** What the network does about peers that its judge condemns, over real connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gossipScore } from "../../../src/net/gossip.ts";
import type { PeerJudge } from "../../../src/net/types.ts";
import { reaches, startPeer, until } from "./support.ts";

const PROTOCOL = "/pathweave/test/1";
const TOPIC = "pathweave/test";

function judgeOf(blocked: Set<string>, penalties = new Map<string, number>()): PeerJudge {
  return { blocked: (peer) => blocked.has(peer), penalty: (peer) => penalties.get(peer) ?? 0 };
}

test("a blocked peer is disconnected, cannot connect again and is not answered", async (t) => {
  const server = await startPeer(t);
  const client = await startPeer(t);
  const blocked = new Set<string>();
  server.network.judgeBy(judgeOf(blocked));
  let asked = 0;
  await server.network.handle(PROTOCOL, async () => {
    asked++;
    return new Uint8Array(1);
  });
  const [address] = server.network.addresses();
  await client.network.dial(address!);
  await client.network.request(server.network.peerId, PROTOCOL, new Uint8Array(1));

  blocked.add(client.network.peerId);
  server.network.disconnect(client.network.peerId);
  const apart = (): Promise<void> =>
    until(client.libp2p, "peer:disconnect", () => client.network.connections().length === 0);
  await apart();
  assert.deepEqual(server.network.connections(), []);
  await assert.rejects(client.network.request(server.network.peerId, PROTOCOL, new Uint8Array(1)), {
    name: "NetworkError",
  });
  assert.equal(asked, 1);
  await apart();

  blocked.clear();
  await client.network.dial(address!);
  await client.network.request(server.network.peerId, PROTOCOL, new Uint8Array(1));
  assert.equal(asked, 2, "a block ends");
});

test("what a blocked author says is dropped, and who passed it on is not punished", async (t) => {
  const author = await startPeer(t, { listen: [] });
  const relay = await startPeer(t);
  const receiver = await startPeer(t, { listen: [] });
  receiver.network.judgeBy(judgeOf(new Set([author.network.peerId])));
  const heard: string[] = [];
  const relayed = Promise.withResolvers<void>();
  const last = Promise.withResolvers<void>();
  const accept = (_from: string, data: Uint8Array): Uint8Array => data;
  author.network.subscribe(TOPIC, { validate: accept, deliver() {} });
  relay.network.subscribe(TOPIC, { validate: accept, deliver: () => relayed.resolve() });
  receiver.network.subscribe(TOPIC, {
    validate: accept,
    deliver(from) {
      heard.push(from);
      last.resolve();
    },
  });
  const [address] = relay.network.addresses();
  await author.network.dial(address!);
  await receiver.network.dial(address!);
  await reaches(relay, [TOPIC], [author, receiver]);
  await reaches(author, [TOPIC], [relay]);
  await author.network.publish(TOPIC, Uint8Array.of(1));
  await relayed.promise;
  await relay.network.publish(TOPIC, Uint8Array.of(2));
  await last.promise;

  assert.deepEqual(heard, [relay.network.peerId]);
  assert.equal(gossipScore(receiver.libp2p.services.pubsub, relay.network.peerId), 0);
});

test("a penalty lowers the gossip score, and rejected messages are told with their reason", async (t) => {
  const receiver = await startPeer(t);
  const author = await startPeer(t, { listen: [] });
  const penalties = new Map<string, number>();
  receiver.network.judgeBy(judgeOf(new Set(), penalties));
  const rejected = Promise.withResolvers<[string, number, string]>();
  receiver.network.subscribe(TOPIC, {
    validate: () => "reject",
    deliver() {},
    rejected: (from, data, reason) => rejected.resolve([from, data.byteLength, reason]),
  });
  author.network.subscribe(TOPIC, { validate: (_from, data) => data, deliver() {} });
  await author.network.dial(receiver.network.addresses()[0]!);
  // What is lost here is lost: the receiver takes no word of what else the author has said once it is charged.
  await reaches(author, [TOPIC], [receiver]);
  penalties.set(author.network.peerId, 30);
  const { pubsub } = receiver.libp2p.services;
  const score = (): number => gossipScore(pubsub, author.network.peerId);
  await until(pubsub, "gossipsub:heartbeat", () => score() === -30);
  // Past the cap of our own publish.
  await author.libp2p.services.pubsub.publish(TOPIC, new Uint8Array(300_000));
  assert.deepEqual(await rejected.promise, [author.network.peerId, 300_000, "It has 300000 bytes."]);
  await until(pubsub, "gossipsub:heartbeat", () => score() < -45);
});
