/** Real nodes on loopback for the tests of net and store. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { Libp2p } from "@libp2p/interface";
import { type BootstrapNode, startBootstrapNode } from "../../../bootstrap/bootstrap-node.ts";
import { systemClock } from "../../../src/clock.ts";
import { createNetwork, createNode, type SwarmNetwork } from "../../../src/net/network.ts";
import type { GossipSub } from "../../../src/net/gossip.ts";
import { libp2pOptions, type Services } from "../../../src/net/options.ts";
import { sizeOnlyRecords } from "../../../src/net/records.ts";
import type { NodeConfig } from "../../../src/net/types.ts";
import { awaited } from "../../waits.ts";

export const LOOPBACK = "/ip4/127.0.0.1/tcp/0";

/** A directory that is gone after the test. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "pathweave-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function nodeConfig(changes: Partial<NodeConfig> = {}): Promise<NodeConfig> {
  return {
    privateKey: await generateKeyPair("Ed25519"),
    clock: systemClock,
    listen: [LOOPBACK],
    announce: [],
    bootstrap: [],
    mdns: false,
    records: { pathweave: sizeOnlyRecords },
    ...changes,
  };
}

export interface TestPeer {
  libp2p: Libp2p<Services>;
  network: SwarmNetwork;
}

/** A started peer without a store, stopped after the test. */
export async function startPeer(t: TestContext, changes: Partial<NodeConfig> = {}): Promise<TestPeer> {
  const config = await nodeConfig(changes);
  const libp2p = await createNode(libp2pOptions(config));
  const network = createNetwork(libp2p, config);
  t.after(() => libp2p.stop());
  await libp2p.start();
  return { libp2p, network };
}

export async function startBootstrap(t: Pick<TestContext, "after">): Promise<BootstrapNode> {
  const node = await startBootstrapNode({
    privateKey: await generateKeyPair("Ed25519"),
    listen: [LOOPBACK],
    announce: [],
  });
  t.after(() => node.stop());
  return node;
}

/** Resolves when the condition holds; it is looked at now and after every event of that name. */
export async function until(target: EventTarget, event: string, condition: () => boolean): Promise<void> {
  if (condition()) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const check = (): void => {
    if (condition()) resolve();
  };
  target.addEventListener(event, check);
  await awaited(`${event} until ${String(condition)}`, promise);
  target.removeEventListener(event, check);
}

/**
 * Resolves when what the peer publishes on the topics is sent to all the others. That they said that they listen is not
 * enough: the stream on which it is sent opens by itself, perhaps later, and what is published before is lost to them.
 */
export async function reaches(
  { libp2p, network }: TestPeer,
  topics: readonly string[],
  others: readonly { network: Pick<SwarmNetwork, "peerId"> }[],
): Promise<void> {
  const pubsub = libp2p.services.pubsub as GossipSub & { streamsOutbound: ReadonlyMap<string, unknown> };
  await until(pubsub, "gossipsub:heartbeat", () =>
    others.every(
      ({ network: { peerId } }) =>
        pubsub.streamsOutbound.has(peerId) &&
        topics.every((topic) => network.subscribers(topic).includes(peerId)),
    ),
  );
}
