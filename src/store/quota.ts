/** What a peer may store (`--max-disk`), in blocks and state files; the small database beside them does not count. */
import type { Clock } from "../clock.ts";
import { StorageError } from "../errors.ts";
import { formatBytes } from "../run/format.ts";

/** A sweep looks at every block. */
const RECLAIM_PAUSE_MS = 60_000;

export interface QuotaOptions {
  maxBytes: number;
  /** Whether blocks that nobody retains may be deleted to make room. */
  reclaim: boolean;
}

export interface QuotaInit {
  directory: string;
  maxBytes: number;
  /** Bytes that are there already. */
  used: number;
  clock: Clock;
  /** Deletes what nobody needs; absent where everything is kept. */
  reclaim?: (() => Promise<unknown>) | undefined;
}

export class Quota {
  readonly #init: QuotaInit;
  #used: number;
  #reclaiming: Promise<unknown> = Promise.resolve();
  #reclaimed = Number.NEGATIVE_INFINITY;

  constructor(init: QuotaInit) {
    this.#init = init;
    this.#used = init.used;
  }

  get left(): number {
    return Math.max(0, this.#init.maxBytes - this.#used);
  }

  /** Takes room for something that is written next. Throws StorageError when there is none, also after cleaning up. */
  async reserve(bytes: number): Promise<void> {
    const { directory, maxBytes, clock, reclaim } = this.#init;
    // At once, since several may ask before the first is written.
    this.#used += bytes;
    if (this.#used <= maxBytes) return;
    if (reclaim !== undefined && clock.now() - this.#reclaimed >= RECLAIM_PAUSE_MS) {
      this.#reclaimed = clock.now();
      this.#reclaiming = reclaim();
    }
    await this.#reclaiming.catch(() => {});
    if (this.#used <= maxBytes) return;
    this.#used -= bytes;
    throw new StorageError(
      `Cannot store more in ${directory}: it holds ${formatBytes(this.#used)} of the ${formatBytes(maxBytes)} that --max-disk allows, ` +
        `and ${reclaim === undefined ? "everything is to be kept" : "all of it is needed"}. Nothing is lost; start again with a larger --max-disk.`,
    );
  }

  /** Gives room back: something was deleted, or never written. */
  free(bytes: number): void {
    this.#used = Math.max(0, this.#used - bytes);
  }
}
