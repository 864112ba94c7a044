/** Byte-pair encoding: which pairs of symbols to merge (Sennrich et al. 2016), with incremental counts. */
import TinyQueue from "tinyqueue";
import { createBreath } from "../breath.ts";

/** A pair as one number: first × PAIR_BASE + second. Symbols are below 2^20, so it is exact. */
const PAIR_BASE = 2 ** 20;

/** A distinct pre-token: its symbols, shortened in place as merges apply, and how often it occurs. */
interface Word {
  symbols: number[];
  count: number;
}

interface Counted {
  pair: number;
  count: number;
}

/** The most frequent pair first; ties go to the lower pair, so that training is deterministic. */
function comparePairs(a: Counted, b: Counted): number {
  return b.count - a.count || a.pair - b.pair;
}

/**
 * Finds the merges, most frequent pair first. `words` holds symbols below `firstSymbol`; merge i creates symbol
 * `firstSymbol + i`. Ends early when no pair occurs twice. The words are consumed. Throws the signal's reason once it
 * is aborted.
 */
export async function findMerges(
  words: Word[],
  firstSymbol: number,
  merges: number,
  signal?: AbortSignal,
): Promise<[number, number][]> {
  const breath = createBreath(signal);
  const counts = new Map<number, number>();
  // Words in which a pair has occurred; some no longer hold it, which applying a merge finds out.
  const places = new Map<number, Set<number>>();
  const add = (pair: number, count: number, word: number): void => {
    counts.set(pair, (counts.get(pair) ?? 0) + count);
    if (count < 0) return;
    const known = places.get(pair);
    if (known === undefined) places.set(pair, new Set([word]));
    else known.add(word);
  };
  for (const [index, { symbols, count }] of words.entries()) {
    await breath();
    for (let i = 1; i < symbols.length; i++) add(symbols[i - 1]! * PAIR_BASE + symbols[i]!, count, index);
  }

  const queue = new TinyQueue<Counted>(
    Array.from(counts, ([pair, count]) => ({ pair, count })),
    comparePairs,
  );

  const found: [number, number][] = [];
  while (found.length < merges) {
    await breath();
    const top = queue.pop();
    if (top === undefined) break;
    const count = counts.get(top.pair) ?? 0;
    if (count < 2) continue;
    // Counts fall without touching the queue; an entry that is out of date goes back with its true count.
    if (count !== top.count) {
      if (count < top.count) queue.push({ pair: top.pair, count });
      continue;
    }
    const left = Math.floor(top.pair / PAIR_BASE);
    const right = top.pair % PAIR_BASE;
    const merged = firstSymbol + found.length;
    found.push([left, right]);
    const changed = new Set<number>();
    for (const index of places.get(top.pair)!) {
      const word = words[index]!;
      applyMerge(word, left, right, merged, (pair, sign) => {
        add(pair, sign * word.count, index);
        if (sign > 0) changed.add(pair);
      });
    }
    counts.delete(top.pair);
    places.delete(top.pair);
    changed.delete(top.pair);
    for (const pair of changed) queue.push({ pair, count: counts.get(pair)! });
  }
  return found;
}

/** Replaces (left, right) in a word from left to right, reporting each pair that vanishes (−1) or appears (+1). */
function applyMerge(
  word: Word,
  left: number,
  right: number,
  merged: number,
  report: (pair: number, sign: 1 | -1) => void,
): void {
  const { symbols } = word;
  let end = 0;
  for (let i = 0; i < symbols.length; i++) {
    const symbol = symbols[i]!;
    if (symbol !== left || symbols[i + 1] !== right) {
      symbols[end++] = symbol;
      continue;
    }
    const before = end > 0 ? symbols[end - 1]! : undefined;
    const after = symbols[i + 2];
    if (before !== undefined) {
      report(before * PAIR_BASE + left, -1);
      report(before * PAIR_BASE + merged, 1);
    }
    if (after !== undefined) {
      report(right * PAIR_BASE + after, -1);
      report(merged * PAIR_BASE + after, 1);
    }
    symbols[end++] = merged;
    i++;
  }
  symbols.length = end;
}
