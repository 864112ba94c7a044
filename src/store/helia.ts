/**
 * Opens everything under one directory and builds Helia on it. Helia gets no gateway, no delegated
 * routing and no router at all: it exchanges blocks with peers it is told of, and nothing phones home.
 */
import { withBitswap } from "@helia/bitswap";
import type { HeliaWithLibp2p } from "@helia/libp2p";
import type { Libp2p, ServiceMap } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import type { LevelDatastore } from "datastore-level";
import type { createHeliaLight } from "helia";
import type { Clock } from "../clock.ts";
import { messageOf, StorageError } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import { MAX_BLOCK_BYTES } from "../objects/object.ts";
import type { CheckedBlockstore } from "./blockstore.ts";
import { cancelWant } from "./cancel-want.ts";
import { openDirectory } from "./directory.ts";
import type { BlockSource } from "./fetch-job.ts";
import { heliaBlockstore } from "./helia-blockstore.ts";
import type { QuotaOptions } from "./quota.ts";
import { answerRepeatedWants } from "./repeated-wants.ts";
import { openStore } from "./store.ts";
import type { Store } from "./types.ts";
import { endsWithin } from "../within.ts";

type Create = typeof createHeliaLight;

/**
 * What `createHeliaLight` makes, out of the package's own file. The package's entry also loads what a default node has,
 * such as WebRTC, UPnP and gateways: a thousand modules at every start, and nothing here uses one of them.
 */
const { Helia } = (await import(new URL("helia.js", import.meta.resolve("helia")).href)) as {
  Helia: new (init: { name: string; version: string } & Parameters<Create>[0]) => ReturnType<Create>;
};

export interface NodeInit<S extends ServiceMap> {
  /** Blocks, database and state files live here. One process at a time. */
  dir: string;
  /** Constructs the libp2p node, not started, over the given datastore. */
  libp2p(datastore: LevelDatastore): Promise<Libp2p<S>>;
  clock: Clock;
  log?: Logger;
  /** How much may be stored; without it only the disk sets a limit. */
  quota?: QuotaOptions;
}

export interface StoreNode<S extends ServiceMap> {
  libp2p: Libp2p<S>;
  store: Store;
  /** Bytes that may still be stored. */
  quotaLeft(): number;
  /** Starts libp2p, then block exchange. */
  start(): Promise<void>;
  /**
   * Stops both and closes the directory. What does not stop in time is left behind, and logged. Throws StorageError
   * when the directory does not close. The node cannot be started again.
   */
  stop(): Promise<void>;
}

/** For Helia with libp2p, whose own deadline is shorter, and for the database to close. */
const STOP_MS = 10_000;
const CLOSE_MS = 30_000;

const BITSWAP = {
  // Both cover a whole message; with the default of 10 s a slow link forgets wants.
  messageSendTimeout: 300_000,
  messageReceiveTimeout: 300_000,
  // A message per block: a slow link shows progress with every block, not with every fourth.
  maxOutgoingMessageSize: MAX_BLOCK_BYTES + (64 << 10),
  maxIncomingMessageSize: 4 << 20,
  // A peer that asks again lost the block, for instance to a bad disk; by default it is ignored for 5 s. See
  // `repeated-wants.ts`, too.
  doNotResendBlockWindow: -1,
  // All blocks a peer wants are read into memory at once. The option's documented spelling has no effect.
  maxWantListSize: 64,
};

/**
 * Opens the directory; throws StorageError when it is locked, full, read-only or otherwise refuses.
 *
 * @example
 * const node = await openNode({
 *   dir,
 *   libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
 * });
 * const network = createNetwork(node.libp2p, config);
 * await node.start();
 */
export async function openNode<S extends ServiceMap>(init: NodeInit<S>): Promise<StoreNode<S>> {
  const log = (init.log ?? silentLogger).component("store");
  const { clock } = init;
  const directory = await openDirectory(init.dir);
  const { datastore } = directory;
  let libp2p: Libp2p<S>;
  let helia: HeliaWithLibp2p<S>;
  const { store, blocks } = await openStore({
    ...directory,
    clock,
    log,
    quota: init.quota,
    async source(served) {
      libp2p = await init.libp2p(datastore);
      helia = heliaOver(served, datastore, libp2p, log);
      return blockSource(helia, clock);
    },
  }).catch(async (error: unknown) => {
    await directory.close();
    throw error;
  });

  async function close(): Promise<void> {
    if (await endsWithin(CLOSE_MS, directory.close(), clock)) return;
    throw new StorageError(
      `The database in ${init.dir} did not close within ${CLOSE_MS / 1000} s: the disk does not answer. ` +
        "What was announced is saved; the next start checks the rest.",
    );
  }

  return {
    libp2p: libp2p!,
    quotaLeft: () => blocks.quota?.left ?? Number.POSITIVE_INFINITY,
    store,
    async start() {
      await helia.start();
      answerRepeatedWants(helia);
    },
    async stop() {
      try {
        if (!(await endsWithin(STOP_MS, helia.stop(), clock)))
          log.warn(`block exchange did not stop within ${STOP_MS / 1000} s; it ends with the process`);
      } finally {
        await close();
      }
    },
  };
}

/** Helia, not started, that serves these blocks. */
function heliaOver<S extends ServiceMap>(
  blocks: CheckedBlockstore,
  datastore: LevelDatastore,
  libp2p: Libp2p<S>,
  log: Logger,
): HeliaWithLibp2p<S> {
  const blockstore = heliaBlockstore(blocks);
  // These name the libp2p node that Helia would make, and does not.
  const about = { name: "helia", version: "" };
  const helia = Object.assign(new Helia({ ...about, blockstore, datastore }), { libp2p });
  helia.addMixin({
    name: "libp2p",
    start: () => libp2p.start(),
    // Helia would stop nothing else after a failure.
    stop: async () => {
      try {
        await libp2p.stop();
      } catch (error) {
        log.warn(messageOf(error));
      }
    },
  });
  withBitswap(helia, BITSWAP);
  return helia;
}

function blockSource<S extends ServiceMap>(helia: HeliaWithLibp2p<S>, clock: Clock): BlockSource {
  const { libp2p } = helia;
  return {
    async connect(holder, signal) {
      await libp2p.dial(peerIdFromString(holder), { signal });
    },
    async ask(cid, holder, signal) {
      // A session drops a peer for good at its first miss, so each want has its own.
      const session = helia.blockstore.createSession(cid, {
        providers: [peerIdFromString(holder).toCID()],
        minProviders: 1,
        maxProviders: 1,
      });
      try {
        let byteLength = 0;
        for await (const bytes of session.get(cid, { signal })) byteLength += bytes.byteLength;
        return byteLength;
      } catch (error) {
        void cancelWant(libp2p, holder, cid, clock);
        throw error;
      } finally {
        session.close();
      }
    },
    onLost(holder, lost) {
      const listener = ({ detail }: CustomEvent): void => {
        if (String(detail) === holder) lost();
      };
      libp2p.addEventListener("peer:disconnect", listener);
      return () => libp2p.removeEventListener("peer:disconnect", listener);
    },
    async *search(cid, signal) {
      try {
        for await (const { id } of libp2p.contentRouting.findProviders(cid, { signal }))
          if (!id.equals(libp2p.peerId)) yield id.toString();
      } catch {
        // Nobody can be asked, or the search took too long: what it found is what there is.
      }
    },
  };
}
