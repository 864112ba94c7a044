/**
 * One fetch of many blocks from several holders: a queue that the holders' workers share, so that a fast
 * holder takes more and a dead one's share goes to the others. Asking several holders for one block at
 * once (a plain bitswap get) would move every byte once per holder.
 */
import type { CID } from "multiformats/cid";
import { type Clock, timeout } from "../clock.ts";
import { messageOf, PathweaveError, UnavailableError } from "../errors.ts";
import { createPatience, type Patience } from "./patience.ts";
import type { Semaphores } from "./semaphores.ts";
import type { Suspects } from "./suspects.ts";

/** Wants in flight to one holder; more gain little and cost a slow link its timeouts. */
export const WANTS_PER_HOLDER = 4;
const CONNECT_DEADLINE_MS = 15_000;
const SEARCH_DEADLINE_MS = 30_000;
/** Silences after which a connected holder is given up. */
const STRIKES = 2;
/** Age after which an idle holder is asked for a block that another one is still to send. */
const HEDGE_MS = 10_000;
/** Time without a block after which the DHT is asked for more holders, however patient the fetch is with those it has. */
const SEARCH_AFTER_MS = 10_000;

/** What a fetch needs from the network. */
export interface BlockSource {
  connect(holder: string, signal: AbortSignal): Promise<void>;
  /** Gets the block onto this disk; resolves to its size. Rejects when the holder lacks it; a PathweaveError ends the fetch. */
  ask(cid: CID, holder: string, signal: AbortSignal): Promise<number>;
  /** Calls back when the connection to the holder is lost; returns how to stop that. */
  onLost(holder: string, lost: () => void): () => void;
  /** Peers that announce the CID. */
  search(cid: CID, signal: AbortSignal): AsyncIterable<string>;
}

interface Want {
  cid: CID;
  lackedBy: Set<string>;
  /** Holders that were asked and sent nothing for too long. */
  silent: Set<string>;
  /** Holder → when it was asked. */
  asked: Map<string, number>;
  done: AbortController;
}

interface Holder {
  peer: string;
  lost: AbortController;
  patience: Patience;
}

export interface FetchJob {
  cids: CID[];
  holders: string[];
  /** Asked for in the DHT when the holders fail: usually the root that was announced. */
  root: CID | undefined;
  signal: AbortSignal | undefined;
  source: BlockSource;
  clock: Clock;
  semaphores: Semaphores;
  suspects: Suspects;
  /** A block is on disk; the holder gave it. */
  arrived(cid: CID, byteLength: number, holder: string): void;
}

/** Resolves when all blocks are on disk. Throws UnavailableError naming each holder's failure, or what the disk refused. */
export async function runFetchJob(job: FetchJob): Promise<void> {
  const { source, clock, semaphores, suspects } = job;
  const wants = new Set(
    job.cids.map((cid): Want => ({
      cid,
      lackedBy: new Set(),
      silent: new Set(),
      asked: new Map(),
      done: new AbortController(),
    })),
  );
  const failures = new Map<string, string>();
  const running = new Set<string>();
  const ended = new Set<string>();
  /** Holders that are connected and have not failed. */
  const inUse = new Set<string>();
  /** All blocks are on disk, or the fetch is given up: nobody waits for holders that hang. */
  const finished = Promise.withResolvers<void>();
  let lastArrival = clock.now();
  const end = new AbortController();
  end.signal.addEventListener("abort", () => finished.resolve());
  const total = wants.size;
  if (total === 0) finished.resolve();
  let change = Promise.withResolvers<void>();

  const changed = (): void => {
    change.resolve();
    change = Promise.withResolvers<void>();
  };
  const onAbort = (): void => {
    end.abort(unavailable("it was given up"));
    changed();
  };

  function unavailable(reason: string): UnavailableError {
    const first = [...wants][0]?.cid;
    const tried = [...failures].map(([holder, failure]) => `${holder}: ${failure}`);
    return new UnavailableError(
      `Cannot fetch ${wants.size} of ${total} blocks (${first?.toString() ?? "none"} …): ${[...tried, reason].join("; ")}.`,
      wants.size,
    );
  }

  /** Whether a block is left to others: the holder was silent about it, or lately, and one of them may give it. */
  function isSpent(want: Want, holder: string, now: number): boolean {
    const isFresh = (peer: string): boolean => !want.lackedBy.has(peer) && !want.silent.has(peer);
    if (want.silent.has(holder)) return [...inUse].some(isFresh);
    // Others that are still being dialled count, too.
    const mayGive = (peer: string): boolean => !ended.has(peer) && !suspects.has(peer, now) && isFresh(peer);
    return suspects.has(holder, now) && [...running].some(mayGive);
  }

  /** The next block to ask of a holder: one nobody was asked for, or one that takes another too long. */
  function pick(holder: string): Want | undefined {
    const now = clock.now();
    let oldest: Want | undefined;
    let age = HEDGE_MS;
    for (const want of wants) {
      if (want.lackedBy.has(holder) || want.asked.has(holder) || isSpent(want, holder, now)) continue;
      if (want.asked.size === 0) return want;
      const since = now - Math.max(...want.asked.values());
      if (since >= age) [oldest, age] = [want, since];
    }
    return oldest;
  }

  async function worker(holder: Holder): Promise<void> {
    const over = AbortSignal.any([end.signal, holder.lost.signal]);
    while (wants.size > 0 && !over.aborted) {
      const release = await semaphores.acquire(holder.peer);
      try {
        const want = over.aborted ? undefined : pick(holder.peer);
        if (want !== undefined) {
          await askFor(want, holder);
          continue;
        }
      } finally {
        release();
      }
      if (over.aborted || [...wants].every((want) => want.lackedBy.has(holder.peer))) return;
      const cancel = clock.after(HEDGE_MS, changed);
      await change.promise;
      cancel();
    }
  }

  async function askFor(want: Want, { peer, lost, patience }: Holder): Promise<void> {
    const silence = new AbortController();
    const since = clock.now();
    let cancel = (): void => {};
    const watch = (): void => {
      const silent = clock.now() - Math.max(since, patience.lastArrival());
      const left = patience.limit() - silent;
      if (left <= 0) silence.abort();
      else cancel = clock.after(left, watch);
    };
    watch();
    want.asked.set(peer, since);
    try {
      const signal = AbortSignal.any([end.signal, lost.signal, silence.signal, want.done.signal]);
      const byteLength = await orAborted(source.ask(want.cid, peer, signal), signal, clock);
      patience.arrived(clock.now());
      suspects.clear(peer);
      if (!wants.delete(want)) return;
      want.done.abort();
      lastArrival = clock.now();
      job.arrived(want.cid, byteLength, peer);
      if (wants.size === 0) finished.resolve();
    } catch (error) {
      const now = clock.now();
      if (want.done.signal.aborted && now - Math.max(since, patience.lastArrival()) >= HEDGE_MS)
        suspects.add(peer, now);
      if (error instanceof PathweaveError) end.abort(error);
      else if (end.signal.aborted || want.done.signal.aborted || lost.signal.aborted) return;
      else if (silence.signal.aborted) {
        suspects.add(peer, now);
        want.silent.add(peer);
        if (patience.strike() < STRIKES) return;
        failures.set(peer, `it sent nothing for ${Math.round(patience.limit() / 1000)} s`);
        lost.abort();
      } else {
        suspects.clear(peer);
        want.lackedBy.add(peer);
      }
    } finally {
      cancel();
      want.asked.delete(peer);
      changed();
    }
  }

  /** Uses a holder until nothing is left that it could give. A lost connection is made anew once. */
  async function useHolder(peer: string): Promise<void> {
    const patience = createPatience();
    for (let attempt = 0; attempt < 2 && wants.size > 0 && !end.signal.aborted; attempt++) {
      const deadline = timeout(clock, CONNECT_DEADLINE_MS);
      try {
        const signal = AbortSignal.any([end.signal, deadline]);
        await orAborted(source.connect(peer, signal), signal, clock);
      } catch (error) {
        failures.set(peer, deadline.aborted ? "it did not answer the dial" : messageOf(error));
        return;
      }
      failures.delete(peer);
      inUse.add(peer);
      const lost = new AbortController();
      const stop = source.onLost(peer, () => {
        failures.set(peer, "it disconnected");
        lost.abort();
        changed();
      });
      const workers = Array.from({ length: Math.min(WANTS_PER_HOLDER, total) }, () =>
        worker({ peer, lost, patience }),
      );
      await Promise.all(workers).finally(stop);
      inUse.delete(peer);
      if (failures.get(peer) !== "it disconnected") break;
    }
    if (wants.size > 0 && !failures.has(peer)) failures.set(peer, "it does not have them");
  }

  const start = (holder: string): void => {
    if (running.has(holder)) return;
    running.add(holder);
    useHolder(holder)
      .catch((error: unknown) => end.abort(error))
      .finally(() => {
        ended.add(holder);
        changed();
      });
  };

  /** Peers that the DHT names, once the known holders have failed or sent nothing for a while. */
  async function search(): Promise<void> {
    while (running.size > 0 && inactive() < SEARCH_AFTER_MS && !areDone()) {
      const cancel = clock.after(SEARCH_AFTER_MS - inactive(), changed);
      await change.promise;
      cancel();
    }
    const signal = AbortSignal.any([end.signal, timeout(clock, SEARCH_DEADLINE_MS)]);
    const missing = [...wants][0]?.cid;
    if (missing === undefined || end.signal.aborted) return;
    const announced = job.root === undefined || job.root.equals(missing) ? [missing] : [job.root, missing];
    for (const cid of announced) {
      for await (const holder of source.search(cid, signal)) {
        start(holder);
        if (wants.size === 0) return;
      }
      await allSettled();
      if (wants.size === 0) return;
    }
  }

  const inactive = (): number => clock.now() - lastArrival;
  const areDone = (): boolean => ended.size === running.size;
  const allSettled = async (): Promise<void> => {
    while (!areDone()) await change.promise;
  };

  job.signal?.addEventListener("abort", onAbort);
  try {
    if (job.signal?.aborted === true) onAbort();
    job.holders.forEach(start);
    await Promise.race([search(), finished.promise]);
    if (end.signal.reason instanceof Error && wants.size > 0) throw end.signal.reason;
    if (wants.size > 0) throw unavailable("the DHT names nobody else");
  } finally {
    job.signal?.removeEventListener("abort", onAbort);
    end.abort();
    changed();
  }
}

/** Rejects when the signal fires, even if the task ignores it; after a turn, so that what is there already counts. */
function orAborted<T>(task: Promise<T>, signal: AbortSignal, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => void clock.after(0, () => reject(signal.reason as Error));
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    task.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
