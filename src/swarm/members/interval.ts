/**
 * How often peers speak, so that what each peer hears does not grow with the number of peers. A heartbeat names the
 * time to the next one; liveness and leases are reckoned in it.
 */

/** Heartbeats that a run's heartbeat period holds, of idle peers and as many again of those that work or own. */
const HEARTBEATS = 16;
/** Periods that a lease outlives the last heartbeat that named it, when that is longer than the run's lease time. */
const LEASE_PERIODS = 4;
/** What a peer may claim its period to be, against what its number of likes explains. */
const TRUST = 2;
/** Peers that answer a newcomer; the others it hears in their turn. */
export const GREETERS = 3;

/**
 * Milliseconds between heartbeats of each of `speakers` peers: the run's period up to 16 of them, then as many times
 * longer as there are more, in powers of two so that it seldom changes.
 */
export function periodOf(heartbeatMs: number, speakers: number): number {
  return heartbeatMs * 2 ** Math.max(0, Math.ceil(Math.log2(speakers / HEARTBEATS)));
}

/** The period of a peer as it says, but neither below the run's nor far over what `speakers` peers would need. */
export function believedPeriod(heartbeatMs: number, claimedMs: number, speakers: number): number {
  return Math.min(Math.max(claimedMs, heartbeatMs), TRUST * periodOf(heartbeatMs, speakers));
}

/** Milliseconds that a lease outlives the last heartbeat that named it. */
export function leaseTime(leaseMs: number, periodMs: number): number {
  return Math.max(leaseMs, LEASE_PERIODS * periodMs);
}
