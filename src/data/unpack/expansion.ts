import { formatBytes } from "../../run/format.ts";
import { ContentProblem } from "../problem.ts";

/** No text that people write shrinks to less than this part of itself; a decompression bomb does. */
const MAX_RATIO = 250;
const FREE_BYTES = 64 << 20;

/** Bounds what packed bytes may grow to. */
export class Expansion {
  #packed = 0;
  #unpacked = 0;

  /** Counts packed bytes. */
  packed(bytes: number): void {
    this.#packed += bytes;
  }

  /** Counts packed bytes as they are read. */
  async *count(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      this.packed(chunk.byteLength);
      yield chunk;
    }
  }

  /** Counts unpacked bytes. Throws ContentProblem when they are too many for the packed ones. */
  check(bytes: number): void {
    this.#unpacked += bytes;
    if (this.#unpacked > FREE_BYTES && this.#unpacked > MAX_RATIO * this.#packed)
      throw new ContentProblem(
        `it grows to over ${MAX_RATIO} times its size, as a decompression bomb does; unpack it if its text is wanted`,
      );
  }

  cutOff(): ContentProblem {
    return new ContentProblem(`the file is cut off after ${formatBytes(this.#packed)}`);
  }
}
