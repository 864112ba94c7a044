/** Encodings of text: told from the bytes where they can be, named where they cannot. */
import { isUtf8 } from "node:buffer";
import { detect } from "chardet";
import { encodingName } from "../run/encoding-name.ts";
import { ContentProblem, NOT_UTF8, NotText } from "./problem.ts";

/** Control characters that occur in text: tab, line ends, form feed, end-of-file of DOS, escape, record separator. */
const CONTROLS_OF_TEXT = new Set([7, 8, 9, 10, 11, 12, 13, 26, 27, 30]);
const SAMPLE_BYTES = 4096;
/** Signs of ISO 2022 that other letters than ASCII's follow. */
const SHIFTS = ["\x1b$", "\x1b("];

/** UTF-8 or UTF-16, by mark or by where the zeros lie; undefined when the bytes do not say. */
function unicodeEncoding(head: Buffer): "utf-8" | "utf-16le" | "utf-16be" | undefined {
  const mark = head.subarray(0, 4).toString("latin1");
  if (mark.startsWith("\xff\xfe\0\0") || mark.startsWith("\0\0\xfe\xff"))
    throw new ContentProblem("it is UTF-32 text; convert it to UTF-8 with iconv");
  if (mark.startsWith("\xef\xbb\xbf")) return "utf-8";
  if (mark.startsWith("\xff\xfe")) return "utf-16le";
  if (mark.startsWith("\xfe\xff")) return "utf-16be";
  const sample = head.subarray(0, SAMPLE_BYTES);
  const zeros = [0, 0];
  for (const [at, byte] of sample.entries()) if (byte === 0) zeros[at % 2]!++;
  const [even, odd] = zeros as [number, number];
  // Half of the bytes of English are zeros, and fewer of a text that is full of other letters.
  const many = sample.byteLength / 5;
  if (odd > many && even === 0) return "utf-16le";
  if (even > many && odd === 0) return "utf-16be";
  return undefined;
}

/** The start of a file as text that its format can be told from; undefined when it is not text. */
export function headText(head: Buffer): string | undefined {
  const encoding = unicodeEncoding(head);
  if (encoding !== undefined) return new TextDecoder(encoding).decode(head);
  return isBinary(head) ? undefined : head.toString("latin1");
}

function isBinary(head: Buffer): boolean {
  return head.subarray(0, SAMPLE_BYTES).some((byte) => byte < 32 && !CONTROLS_OF_TEXT.has(byte));
}

/** Why bytes with zeros in them are no text. */
export function notText(sample: Buffer): string {
  const seeming = seemingUtf16(sample);
  return `it is binary (it contains NUL bytes)${seeming === undefined ? "" : `, or ${unmarked(seeming)}`}`;
}

function unmarked(label: string): string {
  return `UTF-16 without a mark of byte order; if it is that, add encoding: ${label} to the run file`;
}

/** UTF-16 in which few characters are ASCII: spaces, line ends or marks stand where it has them, and nothing odd does. */
function seemingUtf16(sample: Buffer): string | undefined {
  const pairs = sample.subarray(0, Math.min(sample.byteLength, SAMPLE_BYTES) & ~1);
  return ["utf-16le", "utf-16be"].find((label) => {
    const text = new TextDecoder(label).decode(pairs, { stream: true });
    return /[ \n。，、]/.test(text) && !/[\p{Cn}\p{Co}\ufffd]|[^\P{Cc}\t-\r]/u.test(text);
  });
}

/** Why bytes are not UTF-8, with what they seem to be and how to say so. */
export function notUtf8(sample: Buffer): string {
  const wide = seemingUtf16(sample);
  if (wide !== undefined) return `${NOT_UTF8} but seems to be ${unmarked(wide)}`;
  // ASCII tells nothing: look at what comes with the first other bytes.
  const start = Math.max(0, sample.findIndex((byte) => byte >= 0x80) - SAMPLE_BYTES);
  const seeming = detect(sample.subarray(start, start + 4 * SAMPLE_BYTES));
  const label = seeming === null || /^(utf-8|ascii)$/i.test(seeming) ? undefined : encodingName(seeming);
  return label === undefined
    ? `${NOT_UTF8}; name its encoding in the run file, such as encoding: windows-1252`
    : `${NOT_UTF8} but seems to be ${label}; if it is, add encoding: ${label} to the run file`;
}
/**
 * The same text as UTF-8. It decodes UTF-16 in any case; `named` is the encoding of text that is not UTF-8. It passes
 * bytes that are no text of either on as they are, for the reader to report. Throws ContentProblem for UTF-32 and
 * where UTF-16 breaks off.
 */
export async function* asUtf8(
  bytes: AsyncIterable<Buffer>,
  head: Buffer,
  named: string | undefined,
): AsyncGenerator<Buffer> {
  let encoding: string | undefined = unicodeEncoding(head);
  // Any bytes of UTF-16 may be ASCII, so bytes that are no other text count as UTF-16.
  if (encoding === undefined && named?.startsWith("utf-16"))
    encoding = isBinary(head) || !isUtf8(withoutCutCharacter(head)) ? named : "utf-8";
  let decoder: TextDecoder | undefined;
  const decode = (chunk?: Buffer): Buffer => {
    try {
      return Buffer.from(decoder!.decode(chunk, { stream: chunk !== undefined }));
    } catch {
      throw new NotText(`it is not ${encoding} text throughout`);
    }
  };
  for await (const { chunk, isLast } of withLast(bytes)) {
    // ASCII is the same in all that are left; the first other bytes decide.
    if (encoding === undefined && named?.startsWith("iso-2022") && shifts(chunk)) encoding = named;
    if (encoding === undefined && named !== undefined && chunk.some((byte) => byte >= 0x80))
      encoding = isUtf8(isLast ? chunk : withoutCutCharacter(chunk)) ? "utf-8" : named;
    if (encoding === undefined || encoding === "utf-8") yield chunk;
    else {
      decoder ??= new TextDecoder(encoding, { fatal: true });
      yield decode(chunk);
    }
  }
  if (decoder !== undefined) yield decode();
}

/** Whether ISO 2022 leaves ASCII in a chunk, or begins to at its end. */
function shifts(chunk: Buffer): boolean {
  return SHIFTS.some((sign) => chunk.includes(sign)) || chunk.at(-1) === 0x1b;
}

async function* withLast(bytes: AsyncIterable<Buffer>): AsyncGenerator<{ chunk: Buffer; isLast: boolean }> {
  let held: Buffer | undefined;
  try {
    for await (const chunk of bytes) {
      if (held !== undefined) yield { chunk: held, isLast: false };
      held = chunk;
    }
  } catch (error) {
    // What comes before a cut is read.
    if (held !== undefined) yield { chunk: held, isLast: false };
    throw error;
  }
  if (held !== undefined) yield { chunk: held, isLast: true };
}

/** Without the first bytes of a character whose last ones are in the next chunk. */
function withoutCutCharacter(chunk: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, chunk.byteLength); back++) {
    const byte = chunk[chunk.byteLength - back]!;
    if (byte >= 0xc0) return chunk.subarray(0, chunk.byteLength - back);
    if (byte < 0x80) return chunk;
  }
  return chunk;
}
