/** The directory of a peer: its identity, its store and the network that goes with them, before any run is known. */
import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { CID } from "multiformats/cid";
import { systemClock } from "../clock.ts";
import { UsageError } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import { peerOfAddress } from "../net/addresses.ts";
import { Admission } from "../net/admission.ts";
import { IDENTITY_FILE, loadIdentity } from "../net/identity.ts";
import { createNetwork, createNode, type SwarmNetwork } from "../net/network.ts";
import { libp2pOptions } from "../net/options.ts";
import { relaysOf } from "../net/relay-need.ts";
import type { NodeConfig } from "../net/types.ts";
import { isAdmitted, type RunConfig } from "../objects/config.ts";
import { Manifest } from "../objects/manifest.ts";
import type { Capacity } from "../run/sizes.ts";
import { openNode } from "../store/helia.ts";
import { createPacks } from "../store/pack.ts";
import type { QuotaOptions } from "../store/quota.ts";
import { storageError } from "../store/storage-error.ts";
import type { Store } from "../store/types.ts";
import { HEAD_NAMESPACE, headRecords } from "../swarm/sync/head-record.ts";
import type { Packs } from "../swarm/types.ts";

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
export function restrict(network: SwarmNetwork, config: RunConfig): void {
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

/** Throws StorageError. */
export async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    throw storageError(error, directory);
  }
}
