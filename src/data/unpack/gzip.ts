import { crc32, createInflateRaw } from "node:zlib";
import { ContentProblem } from "../problem.ts";
import { ByteQueue, runEngine } from "./engine.ts";

const HAS_CHECKSUM = 2;
const HAS_EXTRA = 4;
const HAS_NAME = 8;
const HAS_COMMENT = 16;

/**
 * Unpacks all members of a .gz file (RFC 1952). Node's own Gunzip fails on bytes after the last member and drops what
 * it has unpacked by then, so the members are walked here. Throws ContentProblem for a cut or damaged file; bytes
 * after the last member are reported, unless they are zeros, with which tapes are filled up.
 */
export async function* unpackGzip(
  bytes: AsyncIterable<Buffer>,
  report: (problem: string) => void,
): AsyncGenerator<Buffer> {
  const input = new ByteQueue(bytes);
  for (let members = 0; await input.fill(1); members++) {
    if (!(await input.fill(3)) || input.view(3).readUIntBE(0, 3) !== 0x1f8b08) {
      if (members === 0) throw new ContentProblem("it is not a gzip file, whatever its name says");
      const zeros = input.isZero;
      const left = await input.drain();
      if (!zeros) report(`${left} bytes after its last gzip member were left out`);
      return;
    }
    await skipHeader(input);
    let checksum = 0;
    let size = 0;
    for await (const chunk of runEngine(createInflateRaw({ chunkSize: 1 << 18 }), undefined, input)) {
      checksum = crc32(chunk, checksum);
      size += chunk.byteLength;
      yield chunk;
    }
    await input.require(8);
    const trailer = input.view(8);
    if (trailer.readUInt32LE(0) !== checksum || trailer.readUInt32LE(4) !== size % 2 ** 32)
      throw new ContentProblem("it is damaged (its checksum is wrong)");
    input.skip(8);
  }
}

async function skipHeader(input: ByteQueue): Promise<void> {
  await input.require(10);
  const flags = input.view(10)[3]!;
  input.skip(10);
  if ((flags & HAS_EXTRA) !== 0) {
    await input.require(2);
    const length = input.view(2).readUInt16LE();
    await input.require(2 + length);
    input.skip(2 + length);
  }
  for (const flag of [HAS_NAME, HAS_COMMENT])
    if ((flags & flag) !== 0)
      for (let byte = -1; byte !== 0;) {
        await input.require(1);
        byte = input.view(1)[0]!;
        input.skip(1);
      }
  if ((flags & HAS_CHECKSUM) !== 0) {
    await input.require(2);
    input.skip(2);
  }
}
