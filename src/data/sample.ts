import { hash64 } from "../random.ts";
import type { TextDocument } from "./types.ts";

/**
 * A sample of a stream that no order can bias and that fits into memory: the documents with the lowest hashes of
 * their ids, as many as fit into `maxBytes`. The same documents are sampled whatever their order. Holds at most
 * twice `maxBytes`. Returns UTF-8.
 */
export async function sampleTexts(
  documents: AsyncIterable<TextDocument> | Iterable<TextDocument>,
  maxBytes: number,
): Promise<Buffer[]> {
  let sample: { rank: bigint; bytes: Buffer }[] = [];
  let total = 0;
  let highestRank = 1n << 64n;
  const shrink = (): void => {
    sample.sort((a, b) => (a.rank < b.rank ? -1 : 1));
    let kept = 0;
    total = 0;
    while (kept < sample.length && (kept === 0 || total + sample[kept]!.bytes.byteLength <= maxBytes))
      total += sample[kept++]!.bytes.byteLength;
    // What is behind the first document that no longer fits can never come back.
    if (kept < sample.length) highestRank = sample[kept]!.rank;
    sample = sample.slice(0, kept);
  };
  for await (const { id, text } of documents) {
    const rank = hash64("sample", id);
    if (rank >= highestRank) continue;
    const bytes = Buffer.from(text.slice(0, maxBytes));
    sample.push({ rank, bytes });
    total += bytes.byteLength;
    if (total > 2 * maxBytes) shrink();
  }
  shrink();
  return sample.map(({ bytes }) => bytes);
}
