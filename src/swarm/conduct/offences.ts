/**
 * What a peer did that no honest peer does, and what follows from it. Pure: time comes in as `now` (ms). Nothing here
 * is agreed on between peers: each judges by what it saw itself, so an accusation by a third party has no effect.
 */

/** The score at which a peer is blocked; gossipsub stops listening at the same penalty (its graylist, −80). */
export const BLOCK_SCORE = 80;

/**
 * The whole policy: what each offence adds to a score. A peer charges the one that must have known better, never a mere
 * relay. Silence is no offence, since a slow link looks the same.
 */
export const OFFENCES = {
  /** Gossip over the size cap, of the wrong schema or run, or with a bad signature inside. Charged to its author. */
  "malformed-message": 50,
  /** A version or contribution that breaks the rules of its lineage. Charged to its sender, which must have noticed. */
  "invalid-record": 50,
  /** A contribution whose tensors are unusable: of the wrong shape, not finite, huge or zero. Charged to its signer. */
  "invalid-contribution": 50,
  /** A version that gives another CID when a peer folds it again. Charged to those that published it as their own fold. */
  "invalid-version": BLOCK_SCORE,
  /** Two versions of one fold. A fold has one outcome, so one of them is false. Charged to the publisher of both. */
  contradiction: BLOCK_SCORE,
  /** A request or an answer that does not decode, or a request about another run. Charged to its sender. */
  "bad-exchange": 30,
} as const;

export type Offence = keyof typeof OFFENCES;

/** Half of a score is forgiven in this time. */
const HALF_LIFE_MS = 10 * 60_000;
/** The first block; each further one is twice as long. */
const FIRST_BLOCK_MS = 10 * 60_000;
const LONGEST_BLOCK_MS = 24 * 3_600_000;
/** Most remembered identities, since identities cost nothing; a peer forgets those that are not blocked first. */
const MAX_PEERS = 4096;

interface Standing {
  score: number;
  /** When the score was this. */
  at: number;
  /** 0 when never blocked. */
  blockedUntil: number;
  blocks: number;
}

export interface Conduct {
  /** Charges an offence. Returns for how long it gets the peer blocked, in ms; 0 when it does not, or it is blocked already. */
  charge(peer: string, offence: Offence, now: number): number;
  /** 0 for an unknown peer. */
  score(peer: string, now: number): number;
  blocked(peer: string, now: number): boolean;
}

export function createConduct(): Conduct {
  const standings = new Map<string, Standing>();

  const scoreAt = ({ score, at }: Standing, now: number): number => score * 2 ** ((at - now) / HALF_LIFE_MS);
  const forgetOne = (now: number): void => {
    const free = [...standings].find(([, { blockedUntil }]) => blockedUntil <= now);
    standings.delete(free?.[0] ?? standings.keys().next().value!);
  };

  return {
    charge(peer, offence, now) {
      const known = standings.get(peer) ?? { score: 0, at: now, blockedUntil: 0, blocks: 0 };
      const score = scoreAt(known, now) + OFFENCES[offence];
      const blocks = score >= BLOCK_SCORE && known.blockedUntil <= now;
      const milliseconds = blocks ? Math.min(FIRST_BLOCK_MS * 2 ** known.blocks, LONGEST_BLOCK_MS) : 0;
      if (!standings.has(peer) && standings.size >= MAX_PEERS) forgetOne(now);
      standings.set(peer, {
        score,
        at: now,
        blockedUntil: blocks ? now + milliseconds : known.blockedUntil,
        blocks: known.blocks + (blocks ? 1 : 0),
      });
      return milliseconds;
    },
    score(peer, now) {
      const known = standings.get(peer);
      return known === undefined ? 0 : scoreAt(known, now);
    },
    blocked: (peer, now) => (standings.get(peer)?.blockedUntil ?? 0) > now,
  };
}
