/** A peer of another version of the protocol, over TCP: it is seen, and neither heard nor held against anybody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gossipScore } from "../../../src/net/gossip.ts";
import { createNetwork, createNode } from "../../../src/net/network.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import type { GossipHandler } from "../../../src/net/types.ts";
import { PROTOCOL } from "../../../src/objects/protocol.ts";
import { nodeConfig, reaches, startBootstrap, startPeer, until } from "./support.ts";

test("a peer of another protocol is told apart by what it says it is, and shares nothing but the DHT", async (t) => {
  const bootstrap = await startBootstrap(t);
  const own = await startPeer(t, { bootstrap: bootstrap.addresses() });
  const same = await startPeer(t, { bootstrap: bootstrap.addresses() });
  const config = await nodeConfig();
  const newer = await createNode({
    ...libp2pOptions(config),
    nodeInfo: { userAgent: `pathweave/${PROTOCOL + 1}` },
  });
  t.after(() => newer.stop());
  const other = { libp2p: newer, network: createNetwork(newer, config) };
  await newer.start();

  const heard: string[] = [];
  const note: GossipHandler<Uint8Array> = {
    validate: (_from, data) => data,
    deliver: (from) => void heard.push(from),
  };
  for (const { network } of [own, same]) network.subscribe(`/pathweave/${PROTOCOL}/run`, note);
  other.network.subscribe(`/pathweave/${PROTOCOL + 1}/run`, note);
  for (const { network } of [same, other]) await network.dial(own.network.addresses()[0]!);
  await until(own.libp2p, "peer:identify", () => own.network.otherProtocols().length > 0);
  await reaches(own, [`/pathweave/${PROTOCOL}/run`], [same]);

  assert.deepEqual(own.network.otherProtocols(), [{ peer: other.network.peerId, protocol: PROTOCOL + 1 }]);
  assert.deepEqual(await other.network.publish(`/pathweave/${PROTOCOL + 1}/run`, Uint8Array.of(1)), []);
  assert.deepEqual(await own.network.publish(`/pathweave/${PROTOCOL}/run`, Uint8Array.of(2)), [
    same.network.peerId,
  ]);
  await until(same.libp2p.services.pubsub, "message", () => heard.length > 0);
  assert.deepEqual(heard, [own.network.peerId]);
  assert.equal(gossipScore(own.libp2p.services.pubsub, other.network.peerId), 0);
  assert.ok(own.network.connections().some(({ peer }) => peer === other.network.peerId));

  await newer.stop();
  await until(own.libp2p, "peer:disconnect", () => own.network.otherProtocols().length === 0);
});
