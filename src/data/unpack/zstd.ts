import { createZstdDecompress } from "node:zlib";
import { ContentProblem } from "../problem.ts";
import { ByteQueue, runEngine } from "./engine.ts";

/** RFC 8878, sections 3.1.1 and 3.1.2, little-endian. */
const FRAME = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

/**
 * Unpacks all frames of a .zst file. Node's decompressor ends silently after one frame and on a cut file, so the
 * frames are found here, from their headers, and each is given to a decompressor of its own.
 * Throws ContentProblem for a cut or damaged file; bytes after the last frame are reported.
 */
export async function* unpackZstd(
  bytes: AsyncIterable<Buffer>,
  report: (problem: string) => void,
): AsyncGenerator<Buffer> {
  const input = new ByteQueue(bytes);
  for (let frames = 0; await input.fill(1); frames++) {
    const magic = (await input.fill(4)) ? input.view(4).readUInt32LE() : undefined;
    if (magic !== undefined && (magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      await input.require(8);
      const length = input.view(8).readUInt32LE(4);
      for await (const skipped of input.take(8 + length)) void skipped;
    } else if (magic === FRAME) yield* runEngine(createZstdDecompress(), frameOf(input));
    else if (frames === 0) throw new ContentProblem("it is not a Zstandard file, whatever its name says");
    else {
      report(`${await input.drain()} bytes after its last Zstandard frame were left out`);
      return;
    }
  }
}

/** The bytes of one frame: header, blocks and checksum. */
async function* frameOf(input: ByteQueue): AsyncGenerator<Buffer> {
  await input.require(5);
  const descriptor = input.view(5)[4]!;
  const single = (descriptor >> 5) & 1;
  const contentSize = [single, 2, 4, 8][descriptor >> 6]!;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  yield* input.take(5 + (1 - single) + dictionary + contentSize);
  for (let last = false; !last;) {
    await input.require(3);
    const header = input.view(3).readUIntLE(0, 3);
    const type = (header >> 1) & 3;
    last = (header & 1) === 1;
    // A run-length block holds one byte, whatever its size says.
    yield* input.take(3 + (type === 1 ? 1 : header >> 3));
  }
  if ((descriptor & 4) !== 0) yield* input.take(4);
}
