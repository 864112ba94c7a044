import unbzip2 from "unbzip2-stream";
import { messageOf } from "../../errors.ts";
import { ContentProblem } from "../problem.ts";
import type { Expansion } from "./expansion.ts";

const PIECE_BYTES = 1 << 16;

/**
 * Unpacks all streams of a .bz2 file. Throws ContentProblem for a cut or damaged file; bytes after the last stream are
 * reported. The library works while it is written to, hence the expansion is checked from its events.
 */
export async function* unpackBzip2(
  bytes: AsyncIterable<Buffer>,
  report: (problem: string) => void,
  expansion: Expansion,
): AsyncGenerator<Buffer> {
  const stream = unbzip2();
  let output: Buffer[] = [];
  const state: { failure?: unknown } = {};
  stream.on("data", (chunk: Buffer) => {
    // An error thrown here ends the library's loop and comes back as an event.
    expansion.check(chunk.byteLength);
    output.push(chunk);
  });
  stream.on("error", (error: unknown) => (state.failure ??= error));
  for await (const chunk of bytes)
    for (let at = 0; at < chunk.byteLength && state.failure === undefined; at += PIECE_BYTES) {
      stream.write(chunk.subarray(at, at + PIECE_BYTES));
      yield* output;
      output = [];
    }
  if (state.failure === undefined) stream.end();
  yield* output;
  const { failure } = state;
  if (failure === undefined) return;
  if (failure instanceof ContentProblem) throw failure;
  const message = messageOf(failure);
  if (/no magic number|not a bzip/i.test(message)) report("bytes after its last bzip2 stream were left out");
  else if (/prematurely|undefined/.test(message)) throw expansion.cutOff();
  else throw new ContentProblem("it is damaged (it does not follow the bzip2 format)");
}
