/** What only the real network does: sockets, bootstraps, hostile streams. What every network must do is in test/compliance. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { createNetwork, createNode } from "../../../src/net/network.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { nodeConfig, startBootstrap, startPeer, until } from "./support.ts";

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
