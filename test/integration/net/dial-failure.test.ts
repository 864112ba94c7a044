/** Why an address cannot be dialled: the errors that libp2p really throws, each put down to its own address. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { generateKey } from "@libp2p/pnet";
import { multiaddr } from "@multiformats/multiaddr";
import { createNetwork, createNode } from "../../../src/net/network.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import type { DialFailure } from "../../../src/net/dial-failure.ts";
import { nodeConfig, startBootstrap, startPeer } from "./support.ts";

function swarmKey(): Uint8Array {
  const key = new Uint8Array(95);
  generateKey(key);
  return key;
}

/** A port of this machine with what `serve` does with a connection. */
async function listener(t: TestContext, serve: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    t.after(() => socket.destroy());
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/** Starts a peer with these bootstraps; resolves to what it reports when each of them failed. */
async function reported(
  t: TestContext,
  bootstrap: string[],
  key?: Uint8Array,
): Promise<Record<string, Pick<DialFailure, "cause" | "error">>> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let warnings = 0;
  const logger = {
    debug() {},
    info() {},
    error() {},
    warn: (): void => void (++warnings === bootstrap.length && resolve()),
    component: () => logger,
  };
  const config = await nodeConfig({ bootstrap, listen: [], ...(key === undefined ? {} : { swarmKey: key }) });
  const libp2p = await createNode(libp2pOptions(config));
  t.after(() => libp2p.stop());
  const network = createNetwork(libp2p, config, logger);
  await libp2p.start();
  await promise;
  return Object.fromEntries(
    network.dialReport().map(({ address, cause, error }) => [address, { cause, error }]),
  );
}

test("every address is reported with its own reason, also several of one peer", async (t) => {
  const known = await startPeer(t);
  const peer = known.network.peerId;
  const other = await startPeer(t);
  const relay = await startBootstrap(t);
  const locked = await startPeer(t, { swarmKey: swarmKey() });
  const mute = await listener(t, () => {});
  const web = await listener(t, (socket) =>
    socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  );
  const at = (address: string): string => `${address.replace(/\/p2p\/[^/]+$/, "")}/p2p/${peer}`;

  const addresses = {
    refused: at("/ip4/127.0.0.1/tcp/1"),
    mute: at(`/ip4/127.0.0.1/tcp/${mute}`),
    web: at(`/ip4/127.0.0.1/tcp/${web}`),
    other: at(other.network.addresses()[0]!),
    private: at(locked.network.addresses()[0]!),
    name: at("/dns4/nowhere.invalid/tcp/4001"),
    relay: `${relay.addresses()[0]!}/p2p-circuit/p2p/${peer}`,
  };
  const report = await reported(t, Object.values(addresses));
  const handshake = { cause: "handshake", error: "no handshake (a private swarm?)" };
  assert.deepEqual(report, {
    [addresses.refused]: { cause: "refused", error: "connection refused" },
    [addresses.mute]: handshake,
    [addresses.web]: handshake,
    [addresses.other]: { cause: "other-peer", error: "is another peer than the invite names" },
    [addresses.private]: handshake,
    [addresses.name]: { cause: "unknown-name", error: "no such host name" },
    [addresses.relay]: { cause: "relay", error: "the relay does not know the peer" },
  });
  // A dial of a peer takes the error of libp2p apart, which has one for all of its addresses.
  const { libp2p, network } = await startPeer(t, { listen: [] });
  const direct = [addresses.refused, addresses.other];
  await libp2p.peerStore.merge(known.libp2p.peerId, {
    multiaddrs: direct.map((address) => multiaddr(address)),
  });
  await assert.rejects(network.dial(peer), {
    name: "NetworkError",
    message:
      /tcp\/1 connection refused; .*is another peer than the invite names\.$|is another peer than the invite names; .*tcp\/1 connection refused\.$/,
  });
});

test("a wrong key of a private swarm is told from a peer that is down", async (t) => {
  const inside = await startPeer(t, { swarmKey: swarmKey() });
  const [address] = inside.network.addresses();
  const down = `/ip4/127.0.0.1/tcp/1/p2p/${inside.network.peerId}`;
  assert.deepEqual(await reported(t, [address!, down], swarmKey()), {
    [address!]: { cause: "handshake", error: "wrong key (private swarm)" },
    [down]: { cause: "refused", error: "connection refused" },
  });
});
