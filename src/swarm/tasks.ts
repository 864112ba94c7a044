/** Work in the background: what is under way, how long it may take, what becomes of its failures, and its end. */
import { boundedMap } from "../bounded-map.ts";
import { type Clock, every, timeout } from "../clock.ts";
import { messageOf, NetworkError, StorageError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { endsWithin } from "../within.ts";

/** Failing tasks that are remembered, so that each is warned of once. */
const MAX_WARNED = 256;

export class Tasks {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  /** What is under way, and what it is. */
  readonly #running = new Map<Promise<void>, string>();
  readonly #timers: (() => void)[] = [];
  /** Tasks whose failure has been said, the latest of them. */
  readonly #warned = boundedMap<string, true>(MAX_WARNED);

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
    // Whoever does not wait for it must not be ended by it.
    this.#failed.promise.catch(() => {});
  }

  /** Aborts when no task may begin any more, and those under way should end. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Rejects when a disk refuses: it will refuse again, and going on would make what cannot be kept. Never resolves. */
  get failure(): Promise<never> {
    return this.#failed.promise;
  }

  /** Aborts after a time, or when the peer stops. */
  within(milliseconds: number): AbortSignal {
    return AbortSignal.any([this.stopping, timeout(this.#clock, milliseconds)]);
  }

  every(milliseconds: number, task: () => void): void {
    this.#timers.push(every(this.#clock, milliseconds, task));
  }

  /** Runs a task; its failure is a line in the log with what was being done. */
  run(what: string, task: () => Promise<unknown>): void {
    const running = task()
      .then(() => {})
      .catch((error: unknown) => {
        if (this.stopping.aborted) return;
        if (error instanceof StorageError) this.#failed.reject(error);
        // A peer that cannot be reached is everyday life, and what fails again and again is said once.
        else this.#log[this.#isNews(what, error) ? "warn" : "info"](`${what}: ${messageOf(error)}`);
      })
      .finally(() => this.#running.delete(running));
    this.#running.set(running, what);
  }

  #isNews(what: string, error: unknown): boolean {
    const news = !(error instanceof NetworkError) && !this.#warned.has(what);
    if (news) this.#warned.set(what, true);
    return news;
  }

  /** Ends what is repeated; what is under way goes on. */
  quieten(): void {
    for (const cancel of this.#timers) cancel();
  }

  /** Tells what is under way to end, and waits for it for a time; says what it left behind. */
  async stop(milliseconds: number): Promise<void> {
    this.quieten();
    this.#stopping.abort(new Error("the peer stops"));
    if (await endsWithin(milliseconds, Promise.allSettled(this.#running.keys()), this.#clock)) return;
    const left = [...new Set(this.#running.values())].join("; ");
    this.#log.warn(`stopped without waiting any longer for: ${left}`);
  }
}
