/**
 * A peer of a run: the composition root. It wires network, store, engine and swarm, in this order: identity,
 * node, manifest, capacity, then work. Nothing below this file knows how the parts meet.
 *
 * @example
 * const peer = await openPeer({ directory, invite, listen: ["/ip4/0.0.0.0/tcp/0"] });
 * await peer.swarm.start();
 * ...
 * await peer.stop();
 */
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { CID } from "multiformats/cid";
import { systemClock } from "./clock.ts";
import { createBatches } from "./data/sequences.ts";
import { openShard } from "./data/shard.ts";
import { loadTokenizer } from "./data/tokenizer.ts";
import type { TokenizedShard, Tokenizer } from "./data/types.ts";
import { createHoldoutScorer } from "./peer/holdout.ts";
import { createEngine, DEFAULT_DEVICE } from "./engine/engine.ts";
import type { EngineConfig } from "./engine/types.ts";
import { messageOf, UsageError } from "./errors.ts";
import { findManifest } from "./peer/find-run.ts";
import { dataFlag, pathweaveCommand } from "./invocation.ts";
import { type Logger, silentLogger } from "./log.ts";
import { elementsOfParts, modelShape } from "./model/parameters.ts";
import { learningRateSchedule } from "./model/schedule.ts";
import type { ModelShape } from "./model/types.ts";
import { moduleTensors } from "./peer/module-tensors.ts";
import { checkAddresses, peerOfAddress } from "./net/addresses.ts";
import { Admission } from "./net/admission.ts";
import { IDENTITY_FILE, loadIdentity } from "./net/identity.ts";
import { createNetwork, createNode, type SwarmNetwork } from "./net/network.ts";
import { libp2pOptions } from "./net/options.ts";
import { relaysOf } from "./net/relay-need.ts";
import type { NodeConfig } from "./net/types.ts";
import { isAdmitted, type RunConfig } from "./objects/config.ts";
import { ShardObject, TokenizerObject } from "./objects/data.ts";
import { Manifest, ROUTER, type ShardReference } from "./objects/manifest.ts";
import { Version } from "./objects/version.ts";
import type { KnownVersion } from "./outer/types.ts";
import { createRandom } from "./random.ts";
import { routingMethod } from "./routing/methods.ts";
import { routerOf } from "./routing/router.ts";
import type { Router } from "./routing/types.ts";
import { encodeInvite, type Invite } from "./run/invite.ts";
import { type Capacity, checkCapacity, type RunSizes, runSizes } from "./run/sizes.ts";
import { createTopology } from "./run/topology.ts";
import { keepObject, objectPin } from "./peer/run-objects.ts";
import type { Topology } from "./run/types.ts";
import { checkManifest, validateConfig } from "./run/validate.ts";
import { openNode } from "./store/helia.ts";
import { readInvite, writeInvite } from "./store/invite-file.ts";
import { createPacks } from "./store/pack.ts";
import type { QuotaOptions } from "./store/quota.ts";
import { storageError } from "./store/storage-error.ts";
import type { Store } from "./store/types.ts";
import { createEvidenceLog } from "./swarm/conduct/evidence.ts";
import { HEAD_NAMESPACE, headRecords } from "./swarm/sync/head-record.ts";
import { createPathTrainer } from "./swarm/rounds/path-trainer.ts";
import { Swarm } from "./swarm/swarm.ts";
import type { Packs, SwarmEvent } from "./swarm/types.ts";

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
  /** Multiaddrs; a peer that listens nowhere can only dial. @default [] */
  listen?: string[];
  /** Multiaddrs to tell others instead of those it listens on. @default [] */
  announce?: string[];
  /** Addresses to dial beside the invite's. @default [] */
  bootstrap?: string[];
  /** Whether to find peers on the local network. @default true */
  mdns?: boolean;
  /** A worker trains and owns modules; an observer reads and asks. @default "worker" */
  role?: "worker" | "observer";
  /** @default the compiled engine on the CPU */
  device?: DeviceOptions;
  /** Whether to keep the tensors of all generations. @default false */
  archive?: boolean;
  /** How much may be stored; without it only the disk sets a limit. */
  maxDiskBytes?: number;
  /** See NodeConfig. */
  maxConnections?: number;
  bytesPerSecond?: number;
  /** @default says nothing */
  logger?: Logger;
  emit?(event: SwarmEvent): void;
  signal?: AbortSignal;
}

const PEER_DEFAULTS = {
  listen: [] as string[],
  announce: [] as string[],
  bootstrap: [] as string[],
  mdns: true,
  role: "worker" as const,
  device: DEFAULT_DEVICE as DeviceOptions,
  archive: false,
  logger: silentLogger,
  emit: (): void => {},
};

/** Options with every default filled in. */
type PeerInit = PeerOptions & Required<Pick<PeerOptions, keyof typeof PEER_DEFAULTS>>;

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
  /** The bytes of the run's `tokenizer.json`. */
  tokenizerJson(): Promise<Uint8Array>;
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

/**
 * Opens the identity, the store and the network of a directory; it neither listens nor dials unless `net` says so.
 * Throws StorageError and NetworkError.
 */
export async function openDirectory(
  directory: string,
  net: Partial<Omit<NodeConfig, "privateKey" | "clock" | "records" | "admission">> = {},
  logger: Logger = silentLogger,
  { quota, run }: DirectoryOptions = {},
): Promise<OpenNode> {
  await makeDirectory(directory);
  const privateKey = await loadIdentity(join(directory, IDENTITY_FILE), logger);
  // An invite that this peer wrote names itself, with addresses of earlier days.
  const self = peerIdFromPrivateKey(privateKey).toString();
  const bootstrap = [...(net.bootstrap ?? []), ...relaysOf(net.listen ?? []).addresses].filter(
    (address) => peerOfAddress(address) !== self,
  );
  const bootstraps = bootstrap.flatMap((address) => peerOfAddress(address) ?? []);
  const config: NodeConfig = {
    listen: [],
    announce: [],
    mdns: false,
    ...net,
    bootstrap,
    privateKey,
    clock: systemClock,
    records: { [HEAD_NAMESPACE]: headRecords() },
    admission: new Admission(bootstraps, logger.component("net")),
  };
  const node = await openNode({
    dir: directory,
    libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
    clock: systemClock,
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
export async function openPeer(given: PeerOptions): Promise<Peer> {
  const options: PeerInit = { ...PEER_DEFAULTS, ...given };
  const { directory, logger, maxDiskBytes, maxConnections, bytesPerSecond } = options;
  checkAddresses(options);
  await makeDirectory(directory);
  const known = await readInvite(directory);
  const invite = options.invite ?? known;
  if (invite === undefined)
    throw new UsageError(
      `There is no run in ${directory}. Give an invite, or make a run: ${pathweaveCommand("create run.yaml", ...dataFlag(directory))}`,
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

async function composePeer(options: PeerInit, invite: Invite, node: OpenNode): Promise<Peer> {
  const { directory, logger } = options;
  const { network, store, packs } = node;
  const { run } = invite;
  const providers = new Set<string>();
  const manifest = Manifest.decode(
    await findManifest(
      run,
      { clock: systemClock, ...node },
      invite.swarmKey !== undefined,
      providers,
      options.signal,
    ),
  );
  const { config } = manifest;
  validateConfig(config);
  restrict(network, config);
  const topology = createTopology(config);
  checkManifest(manifest, topology);
  const shape = modelShape(config.model);
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
  const geneses = manifest.genesis;
  for (const [index, bytes] of (await readAll(geneses.map(({ version }) => version))).entries()) {
    const { module, version: cid } = geneses[index]!;
    genesis.set(module, { ...Version.decode(bytes), cid });
  }
  await store.retain("run", [
    run,
    ...Object.values(genesis.get(ROUTER)!.state),
    manifest.tokenizer,
    ...geneses.map(({ version }) => version),
  ]);

  const tensorsOf = moduleTensors(topology, shape);

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
    await store.retain(objectPin(cid), [cid, ...chunks]);
    await store.fetch(chunks, { holders: holders(), signal: signal() });
    return openShard(object, read, { vocabulary: config.model.vocabulary, endOfText: object.endOfText });
  }

  const totalSteps = config.training.seedSteps + config.training.rounds * config.training.innerSteps;
  const trainer =
    options.role === "observer"
      ? undefined
      : createPathTrainer({
          clock: systemClock,
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
    clock: systemClock,
    random: createRandom(randomUUID()),
    network,
    store,
    packs,
    run,
    manifest,
    topology,
    genesis,
    tensors: (module) => tensorsOf.get(module)!,
    sources: () => [...providers],
    evidence: createEvidenceLog(join(directory, "evidence.ndjson"), systemClock),
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

  const ownInvite = (): string =>
    encodeInvite({ ...invite, bootstrap: network.inviteAddresses(MAX_INVITE_ADDRESSES) });
  let kept = "";
  const keepInvite = serial(async () => {
    const invite = ownInvite();
    if (invite !== kept) await writeInvite(directory, invite);
    kept = invite;
  });
  await keepInvite();
  // The file goes with what is known of the ways to this peer.
  const stopKeeping = network.onReach(() => {
    keepInvite().catch((error: unknown) => logger.warn(`the invite was not written: ${messageOf(error)}`));
  });
  const tokenizerJson = async (): Promise<Uint8Array> => {
    const object = TokenizerObject.decode(await read(manifest.tokenizer));
    return Buffer.concat(await readAll(object.chunks));
  };

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
    tokenizerJson,
    tokenizer: async () => loadTokenizer(await tokenizerJson()),
    router: async () =>
      routingMethod(config.routing.method).route(await read(routerOf(genesis.get(ROUTER)!))),
    shard,
    async stop() {
      stopKeeping();
      await keepInvite().catch(() => {});
      try {
        await swarm.stop();
      } finally {
        await node.stop();
      }
    },
  };
}

/** Runs an action once at a time; calls during a run share one that comes after it. */
function serial(action: () => Promise<void>): () => Promise<void> {
  let running = Promise.resolve();
  let next: Promise<void> | undefined;
  return () => {
    next ??= running.then(() => {
      next = undefined;
      return action();
    });
    running = next.catch(() => {});
    return next;
  };
}
