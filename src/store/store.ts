/** The Store over a checked blockstore, own retention, state files and a source of missing blocks. */
import type { CID } from "multiformats/cid";
import type { Clock } from "../clock.ts";
import { InvalidObjectError, UnavailableError } from "../errors.ts";
import type { CheckedBlockstore } from "./blockstore.ts";
import { type Disk, type DiskInit, openDisk } from "./disk.ts";
import { type BlockSource, runFetchJob, WANTS_PER_HOLDER } from "./fetch-job.ts";
import { createSemaphores } from "./semaphores.ts";
import { createSuspects } from "./suspects.ts";
import type { FetchOptions, FetchProgress, Store } from "./types.ts";

const SHA2_256 = 0x12;

export interface StoreInit extends DiskInit {
  /** Gets missing blocks, and lets others have these. */
  source(blocks: CheckedBlockstore): BlockSource | Promise<BlockSource>;
}

export interface OpenStore extends Disk {
  store: Store;
}

/** Opens a store over files, a database and a network, real or in memory. Throws StorageError when the disk refuses. */
export async function openStore(init: StoreInit): Promise<OpenStore> {
  const disk = await openDisk(init);
  const source = await init.source(disk.blocks);
  return { ...disk, store: createStore(disk, source, init.clock) };
}

function createStore({ blocks, retention, state }: Disk, source: BlockSource, clock: Clock): Store {
  const semaphores = createSemaphores(WANTS_PER_HOLDER);
  const suspects = createSuspects();
  /** Blocks that a fetch is after; others wait for it instead of fetching them twice. */
  const fetching = new Map<string, PromiseWithResolvers<void>>();
  const jobs = new Set<FetchProgress>();
  let bytesIn = 0;

  const settle = (key: string): void => {
    fetching.get(key)?.resolve();
    fetching.delete(key);
  };

  async function fetchMissing(cids: CID[], options: FetchOptions): Promise<void> {
    const missing = new Map<string, CID>();
    for (const cid of cids) {
      if (cid.multihash.code !== SHA2_256)
        throw new InvalidObjectError(
          `${cid.toString()} is not a sha2-256 CID, the only kind that is fetched.`,
        );
      retention.touch(cid);
      if (!missing.has(cid.toString()) && !(await blocks.has(cid))) missing.set(cid.toString(), cid);
    }
    const elsewhere: CID[] = [];
    const own = new Map<string, CID>();
    for (const [key, cid] of missing) {
      if (fetching.has(key)) elsewhere.push(cid);
      else own.set(key, cid);
    }
    const others = Promise.all(elsewhere.map((cid) => fetching.get(cid.toString())!.promise));
    for (const key of own.keys()) fetching.set(key, Promise.withResolvers());
    const { root, holders = [] } = options;
    const progress: FetchProgress = { root, blocks: own.size, arrived: 0, bytes: 0, holders, from: [] };
    jobs.add(progress);
    try {
      if (own.size > 0)
        await runFetchJob({
          cids: [...own.values()],
          holders,
          root,
          signal: options.signal,
          source,
          clock,
          semaphores,
          suspects,
          arrived(cid, byteLength, holder) {
            bytesIn += byteLength;
            progress.arrived++;
            progress.bytes += byteLength;
            if (!progress.from.includes(holder)) progress.from.push(holder);
            own.delete(cid.toString());
            settle(cid.toString());
          },
        });
    } finally {
      jobs.delete(progress);
      for (const key of own.keys()) settle(key);
    }
    if (elsewhere.length === 0) return;
    await others;
    // Whatever the other fetch could not get is tried with our own holders.
    await fetchMissing(elsewhere, options);
  }

  return {
    async put(given) {
      const list = [...given];
      for (const { cid } of list) retention.touch(cid);
      await blocks.write(list);
    },
    has: (cid) => blocks.has(cid),
    local: (cid) => blocks.read(cid),
    async get(cid, options = {}) {
      const local = await blocks.read(cid);
      if (local !== undefined) {
        retention.touch(cid);
        return local;
      }
      await fetchMissing([cid], options);
      const bytes = await blocks.read(cid);
      if (bytes === undefined)
        throw new UnavailableError(
          `The block ${cid.toString()} was fetched but cannot be read back; check the disk.`,
        );
      return bytes;
    },
    fetch: (cids, options = {}) => fetchMissing(cids, options),
    retain: (pin, cids) => retention.retain([[pin, cids]]),
    retainTogether: (changes, records) => retention.retain(changes, records),
    records: retention.records,
    release: (pin) => retention.retain([[pin, []]]),
    retained: async (pin) => retention.retained(pin),
    pins: async () => retention.pins(),
    sweep: (youngMs) => retention.sweep(youngMs),
    get complete() {
      return retention.complete;
    },
    rebuilt: () => retention.rebuilt(),
    async *all() {
      for await (const cid of blocks.cids()) {
        const bytes = await blocks.read(cid);
        if (bytes !== undefined) yield bytes;
      }
    },
    readState: (name) => state.read(name),
    writeState: (name, bytes) => state.write(name, bytes),
    fetches: () => [...jobs],
    get transferred() {
      return { bytesIn, bytesOut: blocks.bytesServed };
    },
  };
}
