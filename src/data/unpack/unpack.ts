/** Packed streams: gzip, Zstandard and bzip2, to the end of the file. */
import { unpackBzip2 } from "./bzip2.ts";
import { Expansion } from "./expansion.ts";
import { unpackGzip } from "./gzip.ts";
import { unpackZstd } from "./zstd.ts";

export type Packing = "gzip" | "zstd" | "bzip2";

const UNPACKERS = { gzip: unpackGzip, zstd: unpackZstd, bzip2: unpackBzip2 };

/**
 * Unpacks all members, frames or streams of a file. What follows them is reported. Throws ContentProblem where the file
 * is cut off or damaged, after what comes before, and when it grows without measure.
 */
export async function* unpack(
  packing: Packing,
  bytes: AsyncIterable<Buffer>,
  report: (problem: string) => void,
): AsyncGenerator<Buffer> {
  const expansion = new Expansion();
  const unpacked = UNPACKERS[packing](expansion.count(bytes), report, expansion);
  if (packing === "bzip2") yield* unpacked;
  else
    for await (const chunk of unpacked) {
      expansion.check(chunk.byteLength);
      yield chunk;
    }
}
