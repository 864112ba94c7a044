/** Pulls bytes through Node's decompressors one frame or member at a time. */
import { once } from "node:events";
import type { Transform } from "node:stream";
import { messageOf } from "../../errors.ts";
import { formatBytes } from "../../run/format.ts";
import { ContentProblem } from "../problem.ts";

/** Deflate grows by 1032 at most, so that 64 KiB of input give at most 66 MiB at once. */
const PIECE_BYTES = 1 << 16;

/** A decompressor of node:zlib. */
type Engine = Transform & { bytesWritten: number };

/** Bytes that have been read and not been used; the next ones are read when they are asked for. */
export class ByteQueue {
  readonly #source: AsyncIterator<Buffer>;
  #head: Buffer = Buffer.alloc(0);
  #read = 0;

  constructor(bytes: AsyncIterable<Buffer>) {
    this.#source = bytes[Symbol.asyncIterator]();
  }

  /** Whether at least `count` bytes are left; they are read. */
  async fill(count: number): Promise<boolean> {
    while (this.#head.byteLength < count) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      this.#read += value.byteLength;
      this.#head = this.#head.byteLength === 0 ? value : Buffer.concat([this.#head, value]);
    }
    return true;
  }

  /** Reads at least `count` bytes. Throws ContentProblem at the end of the file. */
  async require(count: number): Promise<void> {
    if (!(await this.fill(count)))
      throw new ContentProblem(`the file is cut off after ${formatBytes(this.#read)}`);
  }

  /** The next bytes, without using them up. */
  view(count: number): Buffer {
    return this.#head.subarray(0, count);
  }

  skip(count: number): void {
    this.#head = this.#head.subarray(count);
  }

  /** Whether all bytes read so far and not used are zero. */
  get isZero(): boolean {
    return this.#head.every((byte) => byte === 0);
  }

  /** Uses up `count` bytes, in pieces. */
  async *take(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0;) {
      await this.require(1);
      const piece = this.view(Math.min(left, PIECE_BYTES));
      left -= piece.byteLength;
      this.skip(piece.byteLength);
      yield piece;
    }
  }

  /** Reads to the end and returns how many bytes were left. */
  async drain(): Promise<number> {
    let count = 0;
    for (; await this.fill(1); this.skip(this.#head.byteLength)) count += this.#head.byteLength;
    return count;
  }
}

/**
 * What `engine` makes of one frame: either of `frame`, its exact bytes, or of as much of `queue` as the engine
 * uses, which knows where its data ends. Throws ContentProblem when the data is damaged or cut off.
 */
export async function* runEngine(
  engine: Engine,
  frame: AsyncIterable<Buffer> | undefined,
  queue?: ByteQueue,
): AsyncGenerator<Buffer> {
  let output: Buffer[] = [];
  const state: { ended: boolean; failure?: unknown } = { ended: false };
  engine.on("data", (chunk: Buffer) => output.push(chunk));
  engine.on("end", () => (state.ended = true));
  engine.on("error", (error) => (state.failure ??= error));
  const write = async (piece: Buffer): Promise<void> => {
    await new Promise<void>((resolve) => engine.write(piece, () => resolve()));
    // The end is announced one turn after the write.
    await new Promise((resolve) => setImmediate(resolve));
    if (state.failure !== undefined) throw new ContentProblem(`it is damaged (${messageOf(state.failure)})`);
  };
  try {
    if (frame !== undefined) {
      for await (const piece of frame) {
        await write(piece);
        yield* output;
        output = [];
      }
    } else {
      while (!state.ended) {
        await queue!.require(1);
        const piece = queue!.view(PIECE_BYTES);
        const before = engine.bytesWritten;
        await write(piece);
        queue!.skip(engine.bytesWritten - before);
        yield* output;
        output = [];
      }
    }
    if (!state.ended) {
      engine.end();
      await once(engine, "end");
    }
    yield* output;
  } finally {
    engine.destroy();
  }
}
