/** A token bucket with debt, the usual meter of a rate: pure, so time is an argument. */

/**
 * Tokens flow in at `rate` a second, up to `burst` of them. Taking is always possible and may leave a debt. A
 * caller that takes only without a debt keeps to the rate over any time, but for the burst and what it took last.
 */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** Full at `now`, in milliseconds of any clock that does not go back. */
  constructor(rate: number, burst: number, now: number) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes tokens; see `wait` for the result. */
  take(amount: number, now: number): number {
    this.#refill(now);
    this.#tokens -= amount;
    return this.wait(now);
  }

  /** Milliseconds until nothing is owed; 0 when nothing is. */
  wait(now: number): number {
    this.#refill(now);
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens * 1000) / this.#rate);
  }

  #refill(now: number): void {
    if (now <= this.#at) return;
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#rate) / 1000);
    this.#at = now;
  }
}
