/**
 * A peer of a run: the composition root. It wires network, store, engine and swarm, in this order: identity,
 * node, manifest, capacity, then work. Nothing below this file knows how the parts meet.
 *
 * @example
 * const peer = await openPeer({ directory, invite, role: "worker", ... });
 * await peer.swarm.start();
 * ...
 * await peer.stop();
 */
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { CID } from "multiformats/cid";
import { createBatches } from "./data/sequences.ts";
import { openShard } from "./data/shard.ts";
import { loadTokenizer } from "./data/tokenizer.ts";
import type { TokenizedShard, Tokenizer } from "./data/types.ts";
import { createHoldoutScorer } from "./holdout.ts";
import { createEngine } from "./engine/engine.ts";
import type { EngineConfig } from "./engine/types.ts";
import { messageOf, NetworkError, UsageError } from "./errors.ts";
import { pathweaveCommand } from "./invocation.ts";
import type { Logger } from "./log.ts";
import { elementsOfParts, modelShape, parameterSpecs } from "./model/parameters.ts";
import { learningRateSchedule } from "./model/schedule.ts";
import type { ModelShape } from "./model/types.ts";
import { peerOfAddress } from "./net/addresses.ts";
import { Admission } from "./net/admission.ts";
import { IDENTITY_FILE, loadIdentity } from "./net/identity.ts";
import { createNetwork, createNode, type SwarmNetwork } from "./net/network.ts";
import { libp2pOptions } from "./net/options.ts";
import type { NodeConfig } from "./net/types.ts";
import { isAdmitted, type RunConfig } from "./objects/config.ts";
import { RouterObject, ShardObject, TokenizerObject } from "./objects/data.ts";
import { Manifest, type ShardReference } from "./objects/manifest.ts";
import type { TensorDescription } from "./objects/tensor-pack.ts";
import { Version } from "./objects/version.ts";
import type { KnownVersion } from "./outer/types.ts";
import { createRouter } from "./routing/router.ts";
import type { Router } from "./routing/types.ts";
import { encodeInvite, type Invite } from "./run/invite.ts";
import { type Capacity, checkCapacity, type RunSizes, runSizes } from "./run/sizes.ts";
import { createTopology } from "./run/topology.ts";
import { keepObject, objectOwner } from "./run-objects.ts";
import type { Topology } from "./run/types.ts";
import { checkManifest, validateConfig } from "./run/validate.ts";
import { openNode } from "./store/helia.ts";
import { readInvite, writeInvite } from "./store/invite-file.ts";
import { createPacks } from "./store/pack.ts";
import type { QuotaOptions } from "./store/quota.ts";
import { storageError } from "./store/storage-error.ts";
import type { Store } from "./store/types.ts";
import { discover } from "./swarm/discovery.ts";
import { createEvidenceLog } from "./swarm/evidence.ts";
import { HEAD_NAMESPACE, headRecords } from "./swarm/head-record.ts";
import { createPathTrainer } from "./swarm/path-trainer.ts";
import { Swarm } from "./swarm/swarm.ts";
import type { Packs, SwarmEvent } from "./swarm/types.ts";

/** How long a joiner looks for the manifest before it says what it tried. */
const FIND_RUN_MS = 30_000;
const NO_CONNECTION_MS = 10_000;
const MAX_INVITE_ADDRESSES = 8;
const FETCH_MS = 300_000;

export interface DeviceOptions {
  kind: EngineConfig["kind"];
  device: string;
  threads?: number;
}

export interface PeerOptions {
  /** Identity, blocks, optimizer state and lineage live here; a second process on it is refused. */
  directory: string;
  /** Absent when the directory already belongs to a run. */
  invite?: Invite;
  listen: string[];
  announce: string[];
  /** Addresses to dial beside the invite's. */
  bootstrap: string[];
  mdns: boolean;
  role: "worker" | "observer";
  device: DeviceOptions;
  archive: boolean;
  /** How much may be stored; without it only the disk sets a limit. */
  maxDiskBytes?: number;
  /** See NodeConfig. */
  maxConnections?: number;
  bytesPerSecond?: number;
  logger: Logger;
  emit(event: SwarmEvent): void;
  signal?: AbortSignal;
}

export interface Peer {
  readonly run: CID;
  readonly manifest: Manifest;
  readonly topology: Topology;
  readonly shape: ModelShape;
  readonly sizes: RunSizes;
  readonly network: SwarmNetwork;
  readonly store: Store;
  readonly swarm: Swarm;
  /**
   * An invite to this run through this peer and the bootstraps it knows. Undefined in a private swarm, where it would
   * show the key to whoever reads a log: there it is only in the file `invite` of the directory.
   */
  invite(): string | undefined;
  tokenizer(): Promise<Tokenizer>;
  router(): Promise<Router>;
  shard(reference: ShardReference): Promise<TokenizedShard>;
  stop(): Promise<void>;
}

/** An open node and its store, before any run is known. Used by `openPeer` and by `create`. */
export interface OpenNode {
  network: SwarmNetwork;
  store: Store;
  packs: Packs;
  /** Bytes that may still be stored. */
  quotaLeft(): number;
  stop(): Promise<void>;
}

export interface DirectoryOptions {
  quota?: QuotaOptions;
  /** The run of the directory: if its manifest is there, its allow-list holds before the first connection. */
  run?: CID;
}

/** Opens the identity, the store and the network of a directory. Throws StorageError and NetworkError. */
export async function openDirectory(
  directory: string,
  net: Omit<NodeConfig, "privateKey" | "records" | "admission">,
  logger: Logger,
  { quota, run }: DirectoryOptions = {},
): Promise<OpenNode> {
  await makeDirectory(directory);
  const privateKey = await loadIdentity(join(directory, IDENTITY_FILE), logger);
  // An invite that this peer wrote names itself, with addresses of earlier days.
  const self = peerIdFromPrivateKey(privateKey).toString();
  const bootstrap = net.bootstrap.filter((address) => peerOfAddress(address) !== self);
  const bootstraps = bootstrap.flatMap((address) => peerOfAddress(address) ?? []);
  const config: NodeConfig = {
    ...net,
    bootstrap,
    privateKey,
    records: { [HEAD_NAMESPACE]: headRecords() },
    admission: new Admission(bootstraps, logger.component("net")),
  };
  const node = await openNode({
    dir: directory,
    libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
    log: logger,
    ...(quota === undefined ? {} : { quota }),
  });
  const network = createNetwork(node.libp2p, config, logger);
  try {
    const manifest = run === undefined ? undefined : await node.store.local(run);
    if (manifest !== undefined) restrict(network, Manifest.decode(manifest).config);
    await node.start();
  } catch (error) {
    await node.stop();
    throw error;
  }
  const { store, quotaLeft, stop } = node;
  return { network, store, packs: createPacks(store), quotaLeft, stop };
}

/** Admits the peers of the run's allow-list only, if it has one. Throws UsageError when this peer is not on it. */
function restrict(network: SwarmNetwork, config: RunConfig): void {
  const peers = config.admission?.peers;
  if (peers === undefined) return;
  if (!isAdmitted(config, network.peerId))
    throw new UsageError(
      `The run ${config.name} admits ${peers.length} listed peers only, and this one, ${network.peerId}, is not among them. ` +
        "The list is part of the run, so ask its owner for a new run with this peer on the list.",
    );
  network.restrict(peers);
}

/** What this machine has to give to a run in a directory, of which `quotaLeft` bytes may be used at most. */
export async function capacityOf(directory: string, quotaLeft?: number): Promise<Capacity> {
  const { bavail, bsize } = await statfs(directory);
  const diskBytes = bavail * bsize;
  return {
    memoryBytes: process.availableMemory(),
    ...(quotaLeft === undefined || quotaLeft > diskBytes
      ? { diskBytes }
      : { diskBytes: quotaLeft, limit: "--max-disk" }),
  };
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw storageError(error, directory);
  }
}

/** Joins a run, or goes on with the run of the directory. The swarm is not started yet. */
export async function openPeer(options: PeerOptions): Promise<Peer> {
  const { directory, logger, maxDiskBytes, maxConnections, bytesPerSecond } = options;
  await makeDirectory(directory);
  const known = await readInvite(directory);
  const invite = options.invite ?? known;
  if (invite === undefined)
    throw new UsageError(
      `There is no run in ${directory}. Give an invite, or make a run: ${pathweaveCommand("create run.yaml")}`,
    );
  if (known !== undefined && !known.run.equals(invite.run))
    throw new UsageError(
      `${directory} belongs to another run, ${known.run}. Choose another --data for this invite.`,
    );
  const bootstrap = [...new Set([...options.bootstrap, ...invite.bootstrap, ...(known?.bootstrap ?? [])])];
  const swarmKey = invite.swarmKey ?? known?.swarmKey;
  const node = await openDirectory(
    directory,
    {
      listen: options.listen,
      announce: options.announce,
      bootstrap,
      mdns: options.mdns,
      ...(swarmKey === undefined ? {} : { swarmKey }),
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    },
    logger,
    {
      run: invite.run,
      ...(maxDiskBytes === undefined ? {} : { quota: { maxBytes: maxDiskBytes, reclaim: !options.archive } }),
    },
  );
  try {
    const own: Invite = { run: invite.run, bootstrap, ...(swarmKey === undefined ? {} : { swarmKey }) };
    return await composePeer(options, own, node);
  } catch (error) {
    await node.stop();
    options.signal?.throwIfAborted();
    throw error;
  }
}

async function composePeer(options: PeerOptions, invite: Invite, node: OpenNode): Promise<Peer> {
  const { directory, logger } = options;
  const { network, store, packs } = node;
  const { run } = invite;
  const providers = new Set<string>();
  const manifest = Manifest.decode(await findManifest(run, node, providers, options.signal));
  const { config } = manifest;
  validateConfig(config);
  restrict(network, config);
  const topology = createTopology(config);
  checkManifest(manifest, topology);
  const shape = modelShape(config.model);
  const specs = parameterSpecs(shape);
  const sizes = runSizes(config, topology, elementsOfParts(shape));
  if (options.role === "worker") {
    const { maxDiskBytes } = options;
    checkCapacity(
      sizes,
      await capacityOf(directory, maxDiskBytes === undefined ? undefined : node.quotaLeft()),
    );
  }

  const holders = (): string[] => [
    ...new Set([...providers, ...network.connections().map((connection) => connection.peer)]),
  ];
  const stopping = options.signal === undefined ? [] : [options.signal];
  const signal = (): AbortSignal => AbortSignal.any([...stopping, AbortSignal.timeout(FETCH_MS)]);
  const read = async (cid: CID): Promise<Uint8Array> =>
    store.get(cid, { holders: holders(), signal: signal() });
  const readAll = async (cids: CID[]): Promise<Uint8Array[]> => {
    await store.fetch(cids, { holders: holders(), signal: signal() });
    return Promise.all(cids.map(read));
  };
  const genesis = new Map<string, KnownVersion>();
  const geneses = Object.entries(manifest.genesis);
  for (const [index, bytes] of (await readAll(geneses.map(([, cid]) => cid))).entries()) {
    const [module, cid] = geneses[index]!;
    genesis.set(module, { ...Version.decode(bytes), cid });
  }
  await store.retain("run", [run, manifest.router, manifest.tokenizer, ...geneses.map(([, cid]) => cid)]);

  const tensorsOf = new Map<string, TensorDescription[]>(
    topology.modules.map(({ name, level }) => {
      const parts = topology.levels[level]!.parts;
      const own = specs.filter((spec) => parts.includes(spec.part));
      return [name, own.map((spec) => ({ name: spec.name, shape: spec.shape }))];
    }),
  );

  const shards = new Map<string, Promise<TokenizedShard>>();
  const shard = ({ shard: cid }: ShardReference): Promise<TokenizedShard> => {
    const key = cid.toString();
    const opening = shards.get(key) ?? fetchShard(cid);
    shards.set(key, opening);
    opening.catch(() => shards.delete(key));
    return opening;
  };
  async function fetchShard(cid: CID): Promise<TokenizedShard> {
    const object = ShardObject.decode(await read(cid));
    const chunks = [...object.chunks, ...object.lengths];
    await store.retain(objectOwner(cid), [cid, ...chunks]);
    await store.fetch(chunks, { holders: holders(), signal: signal() });
    return openShard(object, read, { vocabulary: config.model.vocabulary, endOfText: object.endOfText });
  }

  const totalSteps = config.training.seedSteps + config.training.rounds * config.training.innerSteps;
  const trainer =
    options.role === "observer"
      ? undefined
      : createPathTrainer({
          engine: await createEngine({ shape, batchSize: config.training.batchSize, ...options.device }),
          training: config.training,
          learningRate: learningRateSchedule(config.training, totalSteps),
          batches: async (path, replica) => {
            const own = await shard(manifest.shards[path]!);
            return createBatches(own, {
              sequenceLength: shape.sequenceLength,
              batchSize: config.training.batchSize,
              endOfText: own.endOfText,
              prefixTokens: config.routing.prefixTokens,
              maskPrefix: config.training.maskPrefix,
              seed: `${config.seed}/${path}`,
              replica,
              replicas: config.replicas,
            }).batchAt;
          },
        });

  const { holdout } = config.outer;
  const scorer =
    trainer === undefined || holdout === undefined
      ? undefined
      : createHoldoutScorer({
          shape,
          sequences: holdout.sequences,
          prefixTokens: config.routing.prefixTokens,
          holdout: (path) => shard(manifest.holdouts[path]!),
          validation: () => shard(manifest.validation),
        });
  const swarm = new Swarm({
    network,
    store,
    packs,
    run,
    manifest,
    topology,
    genesis,
    tensors: (module) => tensorsOf.get(module)!,
    sources: () => [...providers],
    evidence: createEvidenceLog(join(directory, "evidence.ndjson")),
    trainer,
    ...(scorer === undefined ? {} : { scorer }),
    keep: (object, stopping) =>
      keepObject(store, object, () => ({
        holders: holders(),
        signal: AbortSignal.any([signal(), stopping]),
      })),
    archive: options.archive,
    memoryBytes: process.availableMemory(),
    logger,
    emit: options.emit,
  });

  const ownInvite = (): string => {
    const others = invite.bootstrap.filter((address) => peerOfAddress(address) !== network.peerId);
    const bootstrap = [...new Set([...network.addresses(), ...others])].slice(0, MAX_INVITE_ADDRESSES);
    return encodeInvite({ ...invite, bootstrap });
  };
  await writeInvite(directory, ownInvite());

  return {
    run,
    manifest,
    topology,
    shape,
    sizes,
    network,
    store,
    swarm,
    invite: () => (invite.swarmKey === undefined ? ownInvite() : undefined),
    async tokenizer() {
      const object = TokenizerObject.decode(await read(manifest.tokenizer));
      return loadTokenizer(Buffer.concat(await readAll(object.chunks)));
    },
    router: async () => createRouter(RouterObject.decode(await read(manifest.router))),
    shard,
    async stop() {
      try {
        await swarm.stop();
      } finally {
        await node.stop();
      }
    },
  };
}

/** The manifest block: from disk, or from any peer that provides the run. Adds those peers to `providers`. */
async function findManifest(
  run: CID,
  { network, store }: OpenNode,
  providers: Set<string>,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const local = await store.local(run);
  if (local !== undefined) return local;
  const deadline = AbortSignal.any([
    AbortSignal.timeout(FIND_RUN_MS),
    ...(signal === undefined ? [] : [signal]),
  ]);
  const began = performance.now();
  let last = "";
  while (!deadline.aborted) {
    try {
      await connected(network, AbortSignal.any([deadline, AbortSignal.timeout(NO_CONNECTION_MS)]));
      const found = await discover(network, run, deadline, { untilConnected: true });
      for (const peer of found.providers) providers.add(peer);
      last = found.failure ?? last;
    } catch (error) {
      last = messageOf(error);
    }
    for (const { peer } of network.connections()) providers.add(peer);
    try {
      if (providers.size > 0)
        return await store.get(run, {
          holders: [...providers],
          signal: AbortSignal.any([deadline, AbortSignal.timeout(15_000)]),
        });
    } catch (error) {
      last = messageOf(error);
    }
    // Bootstraps that all refuse will not change their mind soon; say so while the user still looks.
    if (network.connections().length === 0 && performance.now() - began > NO_CONNECTION_MS) break;
    await nextTry(deadline);
  }
  signal?.throwIfAborted();
  const failures = network.bootstrapReport();
  if (network.connections().length === 0)
    throw new NetworkError(
      `No bootstrap is reachable: ${failures.map(({ address, error }) => `${address} (${error})`).join("; ") || "the invite names none"}. ` +
        "Check that one of them is running and that the invite is right: a private swarm answers nobody without its key, and a run with a list of peers nobody else.",
    );
  throw new NetworkError(
    `Connected to ${network.connections().length} peers, but none of them has the run ${run}: ${last}. ` +
      `The invite may be of another swarm, all its peers may be offline, or the run admits listed peers only and this one, ${network.peerId}, is not among them.`,
  );
}

/** Resolves when there is a connection; rejects when all bootstraps failed or the deadline is over. */
function connected(network: SwarmNetwork, deadline: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = network.onPeer((_peer, event) => {
      if (event === "connect") finish(resolve);
    });
    const onAbort = (): void => finish(() => reject(new NetworkError("no bootstrap answered in time")));
    const finish = (settle: () => void): void => {
      stop();
      deadline.removeEventListener("abort", onAbort);
      settle();
    };
    deadline.addEventListener("abort", onAbort);
    if (network.connections().length > 0) finish(resolve);
    else if (deadline.aborted) onAbort();
  });
}

/** A pause between two looks for the run, ended early by the deadline. */
function nextTry(deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 1000);
    deadline.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
