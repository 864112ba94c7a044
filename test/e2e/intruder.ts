/**
 * What a peer of the swarm can be made to do: a node from the production parts, with its own key and disk, that says
 * whatever it is told to. And peers of the swarm in this process, whose events and state a test can see.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import path from "node:path";
import type { TestContext } from "node:test";
import type { PrivateKey } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import { silentLogger } from "../../src/log.ts";
import { sizeOnlyRecords } from "../../src/net/records.ts";
import { Contribution } from "../../src/objects/contribution.ts";
import type { Block } from "../../src/objects/object.ts";
import { PROTOCOL } from "../../src/objects/protocol.ts";
import { type TensorDescription, TensorPack } from "../../src/objects/tensor-pack.ts";
import { Version } from "../../src/objects/version.ts";
import { encodeTensors } from "../../src/outer/codec.ts";
import { openPeer } from "../../src/peer.ts";
import type { Peer, PeerOptions } from "../../src/peer/types.ts";
import { tokensPerStep } from "../../src/outer/rules.ts";
import { decodeInvite } from "../../src/run/invite.ts";
import { writePack } from "../../src/store/pack.ts";
import { Heartbeat, LineageRecord } from "../../src/swarm/messages.ts";
import { HEAD_NAMESPACE } from "../../src/swarm/sync/head-record.ts";
import type { SwarmEvent } from "../../src/swarm/types.ts";
import { openPeer as openNode, type StorePeer } from "../integration/store/support.ts";
import { LOOPBACK, reaches, until } from "../integration/net/support.ts";
import { awaited } from "../waits.ts";
import { createTinyRun } from "./tiny-run.ts";

/** A peer of the swarm and what it said so far. */
export interface HonestPeer extends Peer {
  readonly directory: string;
  /** Resolves to the first event, past or future, that fits. */
  said(fits: (event: SwarmEvent) => boolean): Promise<SwarmEvent>;
  readonly events: readonly SwarmEvent[];
}

export async function openHonestPeer(
  options: Pick<PeerOptions, "directory"> & Partial<PeerOptions>,
): Promise<HonestPeer> {
  const events: SwarmEvent[] = [];
  const heard = new EventTarget();
  const peer = await openPeer({
    listen: [LOOPBACK],
    announce: [],
    bootstrap: [],
    mdns: false,
    role: "worker",
    device: { kind: "compiled", device: "cpu", threads: 1 },
    archive: false,
    logger: silentLogger,
    emit(event) {
      events.push(event);
      heard.dispatchEvent(new Event("said"));
    },
    ...options,
  });
  return {
    ...peer,
    directory: options.directory,
    events,
    async said(fits) {
      for (;;) {
        const found = events.find(fits);
        if (found !== undefined) return found;
        const last = events.slice(-3).map((event) => JSON.stringify(event));
        await awaited(
          `${path.basename(options.directory)} to say ${String(fits)} after ${last.join()}`,
          once(heard, "said"),
        );
      }
    },
  };
}

/** Peers of a tiny run that have heard each other. The caller stops them. */
export async function openHonestSwarm(
  folder: string,
  size: number,
  changes: Parameters<typeof createTinyRun>[2],
  options: Partial<PeerOptions> = {},
): Promise<HonestPeer[]> {
  const first = path.join(folder, "peer-1");
  const run = await createTinyRun(folder, first, changes);
  const peers = [await openHonestPeer({ ...options, directory: first })];
  const invite = decodeInvite(peers[0]!.invite()!);
  assert.ok(invite.run.equals(run));
  for (let index = 2; index <= size; index++)
    peers.push(await openHonestPeer({ ...options, directory: path.join(folder, `peer-${index}`), invite }));
  for (const peer of peers) await peer.swarm.start();
  for (const peer of peers)
    for (const other of peers)
      if (other !== peer)
        await peer.said((event) => event.type === "member" && event.peer === other.network.peerId);
  return peers;
}

/** The tensors of a module, as its genesis has them. */
export async function targetAt({ store, swarm }: Peer, module: string): Promise<Target> {
  const { tensors, elements } = TensorPack.decode(
    await store.get(swarm.lineage(module).ancestry().at(-1)!.state["parameters"]!),
  );
  return { module, tensors, elements };
}

/** A module as far as forging for it needs. */
export interface Target {
  module: string;
  tensors: TensorDescription[];
  elements: number;
}

export interface Intruder extends StorePeer {
  readonly id: string;
  readonly key: PrivateKey;
  /** Publishes on the run's topic, or on a module's. */
  publish(data: Uint8Array, module?: string): Promise<void>;
  /** Publishes a version or contribution as its own. */
  announce(module: string, block: Block): Promise<void>;
  heartbeat(changes: Partial<Heartbeat>): Uint8Array;
  /** Sends heartbeats until the test ends. */
  keepAlive(): void;
  /** Writes tensors of a module to its disk, encoded as `bytes` says. */
  pack(target: Pick<Target, "tensors">, codec: string, bytes: Uint8Array): Promise<CID>;
  /** A signed contribution to a round, 0 when not said, of a path; `changes` forge it before it is signed. */
  contribution(
    target: Target,
    forPath: number,
    delta: Float32Array | CID,
    changes?: Partial<Contribution>,
  ): Promise<Block>;
  /** Resolves when a peer has closed all connections with this one. */
  shutOutBy(peer: Peer): Promise<void>;
}

/** Joins a run, and counts as one of its peers. The node is gone after the test. */
export async function intrude(
  t: Pick<TestContext, "after">,
  folder: string,
  peers: readonly HonestPeer[],
): Promise<Intruder> {
  const [{ run, manifest, topology, swarm }] = peers as [HonestPeer];
  const node = await openNode(t, await mkdtemp(path.join(folder, "intruder-")), {
    listen: [LOOPBACK],
    records: { [HEAD_NAMESPACE]: sizeOnlyRecords },
  });
  const { network, libp2p, store } = node;
  const { pubsub } = libp2p.services;
  const topicOf = (module?: string): string =>
    `/pathweave/${PROTOCOL}/${run}${module === undefined ? "" : `/${module}`}`;
  for (const peer of peers) await network.dial(peer.network.addresses()[0]!);
  const topics = [topicOf(), ...topology.modules.map(({ name }) => topicOf(name))];
  await reaches(node, topics, peers);
  let sequence = 0;
  const pack: Intruder["pack"] = ({ tensors }, codec, bytes) => writePack(store, { tensors, codec, bytes });
  const intruder: Intruder = {
    ...node,
    id: network.peerId,
    key: network.privateKey,
    // Not through `network`, whose own caps would get in the way.
    publish: async (data, module) => void (await pubsub.publish(topicOf(module), data)),
    announce: async (module, { bytes }) =>
      void (await pubsub.publish(topicOf(module), LineageRecord.encode({ run, block: bytes }).bytes)),
    heartbeat: (changes) =>
      Heartbeat.encode({
        run,
        sequence: ++sequence,
        periodSeconds: 1,
        role: "observer",
        leaving: false,
        leases: [],
        heads: new Uint8Array(32),
        tokensPerSecond: 0,
        memoryBytes: 0,
        bytesIn: 0,
        bytesOut: 0,
        device: "intruder",
        ...changes,
      }).bytes,
    keepAlive() {
      const beat = setInterval(() => intruder.publish(intruder.heartbeat({})).catch(() => {}), 200);
      t.after(() => clearInterval(beat));
    },
    pack,
    async contribution({ module, tensors }, forPath, delta, changes = {}) {
      const { codec } = manifest.config.outer;
      const { innerSteps } = manifest.config.training;
      const cid =
        delta instanceof Float32Array ? await pack({ tensors }, codec, encodeTensors(delta, codec)) : delta;
      return Contribution.seal(
        {
          run,
          module,
          bases: topology.basesOfPath(forPath).map((name) => ({
            module: name,
            version: swarm.lineage(name).head().cid,
          })),
          work: "train",
          round: 0,
          path: forPath,
          replica: 0,
          delta: cid,
          tokens: innerSteps * tokensPerStep(manifest.config),
          steps: innerSteps,
          loss: 1,
          ...changes,
        },
        network.privateKey,
      );
    },
    async shutOutBy(peer) {
      await until(
        libp2p,
        "peer:disconnect",
        () => !network.connections().some((connection) => connection.peer === peer.network.peerId),
      );
    },
  };
  // A peer may hear of it through others before the stream to it is open; what is malformed goes no such way.
  for (let direct = false; !direct;) {
    const { recipients } = await pubsub.publish(topicOf(), intruder.heartbeat({}));
    const reached = recipients.map(String);
    direct = peers.every((peer) => reached.includes(peer.network.peerId));
    if (!direct) await once(pubsub, "gossipsub:heartbeat");
  }
  for (const peer of peers) await peer.said((event) => event.type === "member" && event.peer === intruder.id);
  return intruder;
}

/** A version over the head of a module as a forger would write it. */
export function forgeVersion(peer: Peer, module: string, changes: Partial<Version>): Block {
  const { cid, generation, tokens, state } = peer.swarm.lineage(module).head();
  return Version.encode({
    module,
    generation: generation + 1,
    parent: cid,
    contributions: [],
    // What a genesis version does not have is zeros, and any other has.
    state: { momentum: state["parameters"]!, ...state },
    tokens,
    ...changes,
  });
}
