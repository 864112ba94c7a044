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
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { systemClock } from "./clock.ts";
import { loadTokenizer } from "./data/tokenizer.ts";
import { DEFAULT_DEVICE } from "./engine/engine.ts";
import { UsageError } from "./errors.ts";
import { dataFlag, pathweaveCommand } from "./invocation.ts";
import { silentLogger } from "./log.ts";
import { elementsOfParts, modelShape } from "./model/parameters.ts";
import { checkAddresses } from "./net/addresses.ts";
import { TokenizerObject } from "./objects/data.ts";
import { Manifest, ROUTER } from "./objects/manifest.ts";
import { Version } from "./objects/version.ts";
import type { KnownVersion } from "./outer/types.ts";
import { capacityOf, makeDirectory, openDirectory, type OpenNode, restrict } from "./peer/directory.ts";
import { findManifest } from "./peer/find-run.ts";
import { keepInvite } from "./peer/invite-keeper.ts";
import { createScorer, createShards, createTrainer } from "./peer/learning.ts";
import { moduleTensors } from "./peer/module-tensors.ts";
import { createRunReader, keepObject } from "./peer/run-objects.ts";
import type { DeviceOptions, Peer, PeerOptions } from "./peer/types.ts";
import { createRandom } from "./random.ts";
import { routingMethod } from "./routing/methods.ts";
import { routerOf } from "./routing/router.ts";
import { encodeInvite, type Invite } from "./run/invite.ts";
import { checkCapacity, runSizes } from "./run/sizes.ts";
import { createTopology } from "./run/topology.ts";
import { checkManifest, validateConfig } from "./run/validate.ts";
import { readInvite } from "./store/invite-file.ts";
import type { FetchOptions } from "./store/types.ts";
import { createEvidenceLog } from "./swarm/conduct/evidence.ts";
import { Swarm } from "./swarm/swarm.ts";

const MAX_INVITE_ADDRESSES = 8;
const FETCH_MS = 300_000;

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

  const stopping = options.signal === undefined ? [] : [options.signal];
  const fetchOptions = (): Required<Pick<FetchOptions, "holders" | "signal">> => ({
    holders: [...new Set([...providers, ...network.connections().map((connection) => connection.peer)])],
    signal: AbortSignal.any([...stopping, AbortSignal.timeout(FETCH_MS)]),
  });
  const reader = createRunReader(store, fetchOptions);
  const { read, readAll } = reader;
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

  const shard = createShards(reader, config.model.vocabulary);
  const trainer =
    options.role === "observer"
      ? undefined
      : await createTrainer({ clock: systemClock, manifest, shape, device: options.device, shard });
  const scorer = trainer && createScorer({ manifest, shape, shard });
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
      keepObject(store, object, () => {
        const { holders, signal } = fetchOptions();
        return { holders, signal: AbortSignal.any([signal, stopping]) };
      }),
    archive: options.archive,
    memoryBytes: process.availableMemory(),
    logger,
    emit: options.emit,
  });

  const ownInvite = (): string =>
    encodeInvite({ ...invite, bootstrap: network.inviteAddresses(MAX_INVITE_ADDRESSES) });
  const invites = await keepInvite(directory, ownInvite, (changed) => network.onReach(changed), logger);
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
      await invites.stop();
      try {
        await swarm.stop();
      } finally {
        await node.stop();
      }
    },
  };
}
