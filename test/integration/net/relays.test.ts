/** Peers that nobody can dial: they take a place at a relay, keep it, and take it again when the relay restarts. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { circuitRelayServer } from "@libp2p/circuit-relay-v2";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { type BootstrapNode, startBootstrapNode } from "../../../bootstrap/bootstrap-node.ts";
import { createNode, type SwarmNetwork } from "../../../src/net/network.ts";
import { baseOptions, baseServices } from "../../../src/net/options.ts";
import { LOOPBACK, nodeConfig, startPeer, type TestPeer } from "./support.ts";

async function startRelay(t: TestContext, privateKey: PrivateKey, listen = LOOPBACK): Promise<BootstrapNode> {
  const node = await startBootstrapNode({ privateKey, listen: [listen], announce: [] });
  t.after(() => node.stop());
  return node;
}

/** Resolves when the peer has a place at a relay, or has none. */
async function placed(network: SwarmNetwork, holds = true): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (network.relayAddresses().length > 0 === holds) resolve();
  };
  const stop = network.onReach(look);
  look();
  await promise;
  stop();
}

/** Resolves when two peers are connected, or are not. */
async function met(one: TestPeer, other: TestPeer, connected = true): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (one.network.connections().some(({ peer }) => peer === other.network.peerId) === connected) resolve();
  };
  const stop = one.network.onPeer(look);
  look();
  await promise;
  stop();
}

test("peers that meet through a relay meet again when it restarts", async (t) => {
  const key = await generateKeyPair("Ed25519");
  const relay = await startRelay(t, key);
  const bootstrap = relay.addresses();
  const hidden = await startPeer(t, { listen: ["/p2p-circuit"], bootstrap });
  await placed(hidden.network);
  assert.deepEqual(hidden.network.relayAddresses(), [`${bootstrap[0]!}/p2p-circuit`]);
  const also = await startPeer(t, { listen: [`${bootstrap[0]!}/p2p-circuit`], bootstrap: [] });
  await placed(also.network);
  await also.network.dial(`${hidden.network.relayAddresses()[0]!}/p2p/${hidden.network.peerId}`);
  await met(hidden, also);

  const gone = Promise.all([
    placed(hidden.network, false),
    placed(also.network, false),
    met(also, hidden, false),
  ]);
  await relay.stop();
  await gone;
  await startRelay(t, key, bootstrap[0]!.replace(/\/p2p\/.*/, ""));
  await Promise.all([placed(hidden.network), placed(also.network), met(hidden, also)]);
});

test("a relay that is down when the peer starts is used once it is up", async (t) => {
  const key = await generateKeyPair("Ed25519");
  const first = await startRelay(t, key);
  const [address] = first.addresses();
  await first.stop();
  const hidden = await startPeer(t, { listen: [`${address!}/p2p-circuit`] });
  assert.deepEqual(hidden.network.relayAddresses(), []);
  await startRelay(t, key, address!.replace(/\/p2p\/.*/, ""));
  await placed(hidden.network);
});

test("reservations that are asked for at once are all made", async (t) => {
  const keys = await Promise.all(Array.from({ length: 2 }, () => generateKeyPair("Ed25519")));
  const relays = await Promise.all(keys.map((key) => startRelay(t, key)));
  const listen = relays.map((relay) => `${relay.addresses()[0]!}/p2p-circuit`);
  const options = baseOptions(await nodeConfig());
  const node = await createNode({
    ...options,
    addresses: { ...options.addresses, listen },
    services: { identify: identify() },
  });
  t.after(() => node.stop());
  await node.start();
  assert.deepEqual(
    new Set(node.getMultiaddrs().map(String)),
    new Set(listen.map((address) => `${address}/p2p/${node.peerId.toString()}`)),
  );
});

test("a relay that gives a place speaks for no other relay", async (t) => {
  const others = await Promise.all(
    Array.from({ length: 100 }, async () => peerIdFromPrivateKey(await generateKeyPair("Ed25519"))),
  );
  const lies = others.map((other) => multiaddr(`/ip4/8.8.8.8/tcp/1/p2p/${other.toString()}`));
  const config = await nodeConfig();
  const options = baseOptions(config);
  const liar = await createNode({
    ...options,
    addresses: { ...options.addresses, announceFilter: (addresses) => [...lies, ...addresses] },
    services: { ...baseServices(config), relay: circuitRelayServer() },
  });
  t.after(() => liar.stop());
  await liar.start();
  const [address] = liar.getMultiaddrs().slice(lies.length).map(String);
  const hidden = await startPeer(t, { listen: ["/p2p-circuit"], bootstrap: [address!] });
  await placed(hidden.network);
  assert.deepEqual(hidden.network.relayAddresses(), [`${address}/p2p-circuit`]);
  assert.deepEqual(hidden.network.addresses(), [`${address}/p2p-circuit/p2p/${hidden.network.peerId}`]);
});

test("a second relay is taken when the first is lost, and never more than two", async (t) => {
  const keys = await Promise.all(Array.from({ length: 3 }, () => generateKeyPair("Ed25519")));
  const relays = await Promise.all(keys.map((key) => startRelay(t, key)));
  const byPeer = (): Set<string> =>
    new Set(hidden.network.relayAddresses().map((address) => /p2p\/(\w+)/.exec(address)![1]!));
  const hidden = await startPeer(t, {
    listen: ["/p2p-circuit"],
    bootstrap: relays.flatMap((relay) => relay.addresses()),
  });
  const until = async (holds: () => boolean): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (holds()) resolve();
    };
    const stop = hidden.network.onReach(look);
    look();
    await promise;
    stop();
  };
  await until(() => byPeer().size === 2);
  const [lost] = byPeer();
  await relays.find(({ libp2p }) => libp2p.peerId.toString() === lost)!.stop();
  await until(() => byPeer().size === 2 && !byPeer().has(lost!));
});

test("peers of one machine take no place at a relay there", async (t) => {
  const relay = await startRelay(t, await generateKeyPair("Ed25519"));
  const bootstrap = relay.addresses();
  const peers = await Promise.all(Array.from({ length: 3 }, () => startPeer(t, { bootstrap })));
  await peers[0]!.network.dial(peers[1]!.network.addresses()[0]!);
  // The relay has identified all of them, and they it, once it answers for the third.
  await Promise.all(peers.map(({ libp2p }) => libp2p.services.ping.ping(relay.libp2p.peerId)));
  assert.equal(relay.libp2p.services.relay.reservations.size, 0);
  for (const { network } of peers) assert.deepEqual(network.relayAddresses(), []);
});
