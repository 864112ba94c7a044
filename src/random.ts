import { createHash } from "node:crypto";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** A seeded source of randomness. The same labels give the same stream on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** Shuffles in place (Fisher–Yates) and returns the array. */
  shuffle<T>(items: T[]): T[];
}

/** A 64-bit hash of the labels as an unsigned bigint; the basis of seeds and rendezvous hashing. */
export function hash64(...labels: (string | number)[]): bigint {
  return createHash("sha256").update(JSON.stringify(labels)).digest().readBigUInt64BE(0);
}

/** Creates a stream from labels, e.g. `createRandom(seed, "initial weights")`. */
export function createRandom(...labels: (string | number)[]): Random {
  const generator = xoroshiro128plus(Number(BigInt.asIntN(32, hash64(...labels))));
  const uniform = (): number => uniformFloat64(generator);
  const integer = (bound: number): number => Math.floor(uniform() * bound);
  return {
    uniform,
    integer,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [items[i], items[j]] = [items[j]!, items[i]!];
      }
      return items;
    },
  };
}
