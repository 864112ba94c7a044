/** Tokens of an opened shard: in memory while they are few, in a temporary file when they are many. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export type TokenArray = Uint16Array | Uint32Array;

export interface TokenSpool {
  /** Adds tokens behind those that are there. */
  append(tokens: TokenArray): void;
  /** Copies tokens `start` to `start + target.length` into `target`. The caller knows that they are there. */
  read(start: number, target: Int32Array): void;
}

/** Keeps the chunks as they come; all but the last have the same length. */
export function memorySpool(): TokenSpool {
  const chunks: TokenArray[] = [];
  return {
    append: (tokens) => void chunks.push(tokens),
    read(start, target) {
      const perChunk = chunks[0]?.length ?? 1;
      for (let done = 0; done < target.length;) {
        const chunk = chunks[Math.floor((start + done) / perChunk)]!;
        const from = (start + done) % perChunk;
        const piece = chunk.subarray(from, from + target.length - done);
        target.set(piece, done);
        done += piece.length;
      }
    },
  };
}

/**
 * Writes tokens of `width` bytes to a file that is gone when the process ends. Reads are synchronous: a sequence
 * is a few hundred bytes that the system has cached or is about to.
 */
export function fileSpool(width: 2 | 4): TokenSpool {
  const folder = mkdtempSync(path.join(tmpdir(), "pathweave-tokens-"));
  const file = openSync(path.join(folder, "tokens"), "w+");
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    // Where the system allows it, the open file has no name any more and needs no cleaning up.
    remove();
  } catch {
    process.once("exit", () => {
      closeSync(file);
      remove();
    });
  }
  return {
    append: (tokens) => writeFileSync(file, tokens),
    read(start, target) {
      const tokens = width === 2 ? new Uint16Array(target.length) : new Uint32Array(target.length);
      const bytes = new Uint8Array(tokens.buffer);
      for (let done = 0; done < bytes.length;) {
        const count = readSync(file, bytes, done, bytes.length - done, start * width + done);
        if (count === 0) throw new RangeError(`The tokens end at byte ${start * width + done}.`);
        done += count;
      }
      target.set(tokens);
    },
  };
}
