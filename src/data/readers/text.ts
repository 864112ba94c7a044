import { NotText, reasonOf, NOT_UTF8 } from "../problem.ts";
import { notText, notUtf8 } from "../encoding.ts";
import { TextSplitter } from "../split-text.ts";
import type { RecordOrProblem } from "./types.ts";

/** Strings of a stream of UTF-8, without its mark. Throws NotText where it is none. */
export async function* decodeUtf8(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let latest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of bytes) {
      latest = chunk;
      yield decoder.decode(chunk, { stream: true });
    }
    yield decoder.decode();
  } catch (error) {
    if (reasonOf(error) !== NOT_UTF8) throw error;
    throw new NotText(notUtf8(latest));
  }
}

/** Plain text, in parts when it is long. */
export async function* readText(bytes: AsyncIterable<Buffer>): AsyncGenerator<RecordOrProblem> {
  const splitter = new TextSplitter();
  let part = 0;
  // Parts are held until the next chunk proves to be text, too: nothing is used of a short file that is not.
  let held: string[] = [];
  try {
    for await (const text of decodeUtf8(bytes)) {
      if (text.includes("\0")) throw new NotText(notText(Buffer.from(text)));
      const parts = splitter.push(text);
      for (const ready of held) yield { record: "", part: String(part++), text: ready };
      held = parts;
    }
    held.push(splitter.finish());
  } catch (error) {
    const problem = reasonOf(error);
    // A file that breaks off, or is damaged from somewhere on, is text up to there.
    if (!(error instanceof NotText)) {
      held.push(splitter.finish());
      for (const text of held) if (text !== "") yield { record: "", part: String(part++), text };
    }
    yield part === 0 ? { record: "", problem } : { record: String(part), problem: `from here on ${problem}` };
    return;
  }
  const whole = part === 0 && held.length === 1;
  for (const text of held) yield { record: "", ...(whole ? {} : { part: String(part++) }), text };
}
