import assert from "node:assert/strict";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { InvalidObjectError, NetworkError } from "../../../src/errors.ts";
import { type GossipSub, gossipScore } from "../../../src/net/gossip.ts";
import { createNetwork, createNode } from "../../../src/net/network.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import type { RecordHandler } from "../../../src/net/types.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { nodeConfig, startBootstrap, startPeer, until, reaches } from "./support.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test("peers that know one bootstrap find each other by CID", async (t) => {
  const bootstrap = await startBootstrap(t);
  const a = await startPeer(t, { bootstrap: bootstrap.addresses() });
  const b = await startPeer(t, { bootstrap: bootstrap.addresses() });
  const { cid } = rawBlock(text("a run"));

  await a.network.provide(cid);
  const providers = [];
  for await (const provider of b.network.findProviders(cid)) providers.push(provider);

  assert.deepEqual(
    providers.map(({ peer }) => peer),
    [a.network.peerId],
  );
  await b.network.dial(a.network.peerId);
  assert.ok(b.network.connections().some(({ peer }) => peer === a.network.peerId));
});

test("a bootstrap that comes up late is reached, and until then the report says why not", async (t) => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  assert.ok(address !== null && typeof address === "object");
  probe.close();
  await once(probe, "close");
  const listen = `/ip4/127.0.0.1/tcp/${address.port}`;
  const late = await nodeConfig({ listen: [listen] });
  const bootstrap = await createNode(libp2pOptions(late));
  t.after(() => bootstrap.stop());

  const target = `${listen}/p2p/${bootstrap.peerId.toString()}`;
  const warned = Promise.withResolvers<string>();
  const config = await nodeConfig({ bootstrap: [target] });
  const libp2p = await createNode(libp2pOptions(config));
  t.after(() => libp2p.stop());
  const logger = {
    debug() {},
    info() {},
    error() {},
    warn: (line: string) => warned.resolve(line),
    component: () => logger,
  };
  const network = createNetwork(libp2p, config, logger);
  await libp2p.start();

  assert.match(await warned.promise, /connection refused/);
  const [failure] = network.dialReport();
  assert.equal(failure?.address, target);
  assert.match(failure.error, /connection refused/);

  await bootstrap.start();
  await until(libp2p, "peer:connect", () => network.connections().length > 0);
  assert.deepEqual(network.dialReport(), []);
});

test("a bootstrap that restarts is found again by those who lost it", async (t) => {
  const first = await startPeer(t);
  const [address] = first.network.addresses();
  const { network, libp2p } = await startPeer(t, { bootstrap: [address!] });
  await until(libp2p, "peer:connect", () => network.connections().length > 0);
  await first.libp2p.stop();
  await until(libp2p, "peer:disconnect", () => network.connections().length === 0);
  await startPeer(t, {
    privateKey: first.network.privateKey,
    listen: [address!.replace(/\/p2p\/.*/, "")],
  });
  await until(libp2p, "peer:connect", () => network.connections().length > 0);
});

test("a message that a validator rejects is not forwarded and costs its sender score", async (t) => {
  const topic = "pathweave/test";
  const middle = await startPeer(t);
  // Peers without addresses: they cannot find a way around the one in the middle.
  const sender = await startPeer(t, { listen: [] });
  const receiver = await startPeer(t, { listen: [] });
  const judged: string[] = [];
  const delivered: string[] = [];
  const last = Promise.withResolvers<void>();
  sender.network.subscribe(topic, { validate: (_from, data) => data, deliver() {} });
  middle.network.subscribe(topic, {
    validate(from, data) {
      assert.equal(from, sender.network.peerId);
      judged.push(Buffer.from(data).toString());
      if (Buffer.from(data).toString() === "malformed") throw new InvalidObjectError("malformed");
      return Buffer.from(data).toString() === "bad" ? "reject" : data;
    },
    deliver() {},
  });
  receiver.network.subscribe(topic, {
    validate: (_from, data) => data,
    deliver(from, data) {
      assert.equal(from, sender.network.peerId);
      delivered.push(Buffer.from(data).toString());
      if (Buffer.from(data).toString() === "good") last.resolve();
    },
  });
  await sender.network.dial(middle.network.addresses()[0]!);
  await receiver.network.dial(middle.network.addresses()[0]!);
  const { pubsub } = middle.libp2p.services;
  await until(pubsub, "gossipsub:heartbeat", () => meshPeers(pubsub, topic).length === 2);
  await reaches(sender, [topic], [middle]);

  for (const message of ["bad", "malformed", "good"])
    assert.deepEqual(await sender.network.publish(topic, text(message)), [middle.network.peerId]);
  await last.promise;

  assert.deepEqual(judged.toSorted(), ["bad", "good", "malformed"]);
  assert.deepEqual(delivered, ["good"]);
  // −20 × (rejected messages)², computed anew with every heartbeat.
  const score = (): number => gossipScore(pubsub, sender.network.peerId);
  await until(pubsub, "gossipsub:heartbeat", () => score() < -70);
  assert.equal(gossipScore(pubsub, receiver.network.peerId), 0);
});

test("gossip over the size cap is refused with the reason", async (t) => {
  const { network } = await startPeer(t);
  await assert.rejects(network.publish("pathweave/test", new Uint8Array((256 << 10) + 1)), (error) => {
    assert.ok(error instanceof NetworkError);
    assert.match(error.message, /262145 bytes is over the gossip limit of 262144/);
    return true;
  });
});

test("publishing with nobody subscribed reaches nobody", async (t) => {
  const { network } = await startPeer(t);
  assert.deepEqual(await network.publish("pathweave/test", text("hello")), []);
});

/** Not in the interface of gossipsub. */
function meshPeers(pubsub: GossipSub, topic: string): string[] {
  assert.ok("getMeshPeers" in pubsub && typeof pubsub.getMeshPeers === "function");
  return pubsub.getMeshPeers(topic);
}

async function pair(t: TestContext) {
  const server = await startPeer(t);
  const client = await startPeer(t);
  await client.network.dial(server.network.addresses()[0]!);
  const ask = (data: Uint8Array, signal?: AbortSignal) =>
    client.network.request(server.network.peerId, "/pathweave/test/1", data, signal);
  return { server, client, ask };
}

test("a request of the largest size is answered by one of the largest size", async (t) => {
  const { server, client, ask } = await pair(t);
  const largest = Buffer.alloc(4 << 20, "pathweave");
  let asker = "";
  await server.network.handle("/pathweave/test/1", async (from, request) => {
    asker = from;
    return Buffer.from(request).toReversed();
  });
  const response = await ask(largest);
  assert.equal(asker, client.network.peerId);
  assert.ok(Buffer.from(largest.toReversed()).equals(response));
});

test("an oversized request or response is refused with the reason", async (t) => {
  const { server, ask } = await pair(t);
  await server.network.handle("/pathweave/test/1", async () => new Uint8Array((4 << 20) + 1));
  await assert.rejects(ask(new Uint8Array((4 << 20) + 1)), {
    name: "NetworkError",
    message: /A request of 4194305 bytes is over the limit of 4194304/,
  });
  await assert.rejects(ask(text("give me more")), {
    name: "NetworkError",
    message: /it refused, saying "A response of 4194305 bytes is over the limit/,
  });
});

test("a hostile peer that announces a huge message is cut off", async (t) => {
  const { server, client } = await pair(t);
  await server.network.handle("/pathweave/test/1", async () => assert.fail("must not be asked"));
  const [connection] = client.libp2p.getConnections();
  const stream = await connection!.newStream("/pathweave/test/1");
  const closed = once(stream, "close");
  // A varint of 2^31.
  stream.send(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x08));
  await closed;
  assert.equal(stream.status, "reset");
});

test("a request ends at its deadline and says so", async (t) => {
  const { server, ask } = await pair(t);
  const asked = Promise.withResolvers<void>();
  await server.network.handle("/pathweave/test/1", () => {
    asked.resolve();
    return new Promise(() => {});
  });
  const controller = new AbortController();
  const late = assert.rejects(ask(text("?"), AbortSignal.timeout(200)), {
    name: "NetworkError",
    message: /Asking 12D3\w+ for \/pathweave\/test\/1 took longer than it was given/,
  });
  await asked.promise;
  const givenUp = assert.rejects(ask(text("?"), controller.signal), { message: /was given up/ });
  controller.abort();
  await Promise.all([late, givenUp]);
});

test("refusals, bugs and unknown protocols have distinct reasons", async (t) => {
  const { server, ask } = await pair(t);
  await assert.rejects(ask(text("?")), { name: "NetworkError", message: /protocol/i });
  await server.network.handle("/pathweave/test/1", async (_from, request) => {
    if (request.byteLength === 0) throw new InvalidObjectError("The request\u001b[31m is empty.");
    throw new Error("secret");
  });
  await assert.rejects(ask(new Uint8Array(0)), {
    message: /it refused, saying "The request \[31m is empty\."/,
  });
  await assert.rejects(ask(text("?")), (error) => {
    assert.ok(error instanceof NetworkError);
    assert.match(error.message, /internal error/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
});

test("a peer that dies in the middle of a request is reported at once", async (t) => {
  const { server, ask } = await pair(t);
  const asked = Promise.withResolvers<void>();
  await server.network.handle("/pathweave/test/1", () => {
    asked.resolve();
    return new Promise(() => {});
  });
  const rejected = assert.rejects(ask(text("?")), { name: "NetworkError" });
  await asked.promise;
  await server.libp2p.stop();
  await rejected;
});

/** A namespace whose value is a number in decimal; the greater one is newer. */
function numbers(): RecordHandler {
  const newest = new Map<string, number>();
  return {
    async validate(key, value) {
      const number = Number(Buffer.from(value).toString());
      if (!Number.isInteger(number)) throw new InvalidObjectError("not a number");
      if (number < (newest.get(key) ?? 0)) throw new InvalidObjectError("rolls back");
      newest.set(key, number);
    },
    select: (_key, values) => {
      const all = values.map((value) => Number(Buffer.from(value).toString()));
      return all.indexOf(Math.max(...all));
    },
  };
}

test("records are validated here and at servers, and the best one is read", async (t) => {
  const hub = await startPeer(t, { records: { pathweave: numbers() } });
  const bootstrap = hub.network.addresses();
  const a = await startPeer(t, { bootstrap, records: { pathweave: numbers() } });
  const b = await startPeer(t, { bootstrap, records: { pathweave: numbers() } });
  const key = "/pathweave/run/module";

  assert.equal(await b.network.getRecord(key), undefined);
  await a.network.putRecord(key, text("5"));
  assert.deepEqual(Buffer.from((await b.network.getRecord(key))!).toString(), "5");
  // b never saw 5 being put; the others refuse its older value.
  const c = await startPeer(t, { bootstrap, records: { pathweave: numbers() } });
  await assert.rejects(c.network.putRecord(key, text("3")), {
    name: "NetworkError",
    message: /no other peer stored/,
  });
  assert.equal(Buffer.from((await c.network.getRecord(key))!).toString(), "5");

  await assert.rejects(a.network.putRecord(key, text("4")), {
    name: "InvalidObjectError",
    message: /rolls back/,
  });
  await assert.rejects(a.network.putRecord("/other/key", text("1")), { name: "NetworkError" });
  await assert.rejects(a.network.putRecord(key, new Uint8Array(17 << 10)), { name: "InvalidObjectError" });
});

test("a port in use is named, with what to do", async (t) => {
  const first = await startPeer(t);
  const port = /tcp\/(\d+)/.exec(first.network.addresses()[0]!)![1]!;
  const config = await nodeConfig({ listen: [`/ip4/127.0.0.1/tcp/${port}`, "/p2p-circuit"] });
  const second = await createNode(libp2pOptions(config));
  await assert.rejects(async () => await second.start(), {
    name: "NetworkError",
    message: `Port ${port} is in use; stop the program that uses it (perhaps another peer) or listen on another port, or on port 0 for any free one.`,
  });
  assert.equal(second.status, "stopped");
});

test("peers also meet over WebSocket, and listeners are told of both ends", async (t) => {
  const a = await startPeer(t, { listen: ["/ip4/127.0.0.1/tcp/0/ws"] });
  const b = await startPeer(t);
  const seen: string[] = [];
  const gone = Promise.withResolvers<void>();
  const stop = b.network.onPeer((peer, event) => {
    assert.equal(peer, a.network.peerId);
    seen.push(event);
    if (event === "disconnect") gone.resolve();
  });
  await b.network.dial(a.network.addresses()[0]!);
  assert.match(b.network.connections()[0]!.address, /\/ws/);
  await a.libp2p.stop();
  await gone.promise;
  stop();
  assert.deepEqual(seen, ["connect", "disconnect"]);
});

test("dialling nobody says whom and why", async (t) => {
  const { network } = await startPeer(t);
  await assert.rejects(network.dial("/ip4/127.0.0.1/tcp/1"), {
    name: "NetworkError",
    message: "Dialling /ip4/127.0.0.1/tcp/1 failed: connection refused.",
  });
});

const outside = Object.values(networkInterfaces())
  .flat()
  .some((face) => face?.family === "IPv4" && !face.internal);

test("peers of one local network find each other", { skip: !outside }, async (t) => {
  const local = { mdns: true, listen: ["/ip4/0.0.0.0/tcp/0"] };
  const a = await startPeer(t, local);
  const b = await startPeer(t, local);
  const connected = (): boolean => b.network.connections().some(({ peer }) => peer === a.network.peerId);
  await until(b.libp2p, "peer:connect", connected);
});
