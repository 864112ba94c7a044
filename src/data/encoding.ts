/** Encodings of text: told from the bytes where they can be, named where they cannot. */
import { isUtf8 } from "node:buffer";
import { detect } from "chardet";
import { UsageError } from "../errors.ts";
import { ContentProblem, NOT_UTF8 } from "./problem.ts";

/** Bytes that no text has: C0 controls but tab, line ends, form feed, escape, end-of-file of DOS, record separator. */
const CONTROL = /[\0-\x06\x0e-\x19\x1c\x1d\x1f]/;
const SAMPLE_BYTES = 4096;

/** The WHATWG name of an encoding. Throws UsageError for a name that no decoder has. */
export function encodingName(label: string): string {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    throw new UsageError(
      `${JSON.stringify(label.slice(0, 40))} is not an encoding that can be read; expected a name such as ` +
        "windows-1252, iso-8859-2, shift_jis, gb18030, koi8-r or utf-16le.",
    );
  }
}

/** UTF-8 or UTF-16, by mark or by where the zeros lie; undefined when the bytes do not say. */
export function unicodeEncoding(head: Buffer): "utf-8" | "utf-16le" | "utf-16be" | undefined {
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
  // Letters of English have a zero above them; other scripts still have spaces and line ends.
  const many = sample.byteLength / 20;
  if (odd > many && even === 0) return "utf-16le";
  if (even > many && odd === 0) return "utf-16be";
  return undefined;
}

/** The start of a file as text that its format can be told from; undefined when it is not text. */
export function headText(head: Buffer): string | undefined {
  const encoding = unicodeEncoding(head);
  if (encoding !== undefined) return new TextDecoder(encoding).decode(head);
  const text = head.toString("latin1");
  return CONTROL.test(text.slice(0, SAMPLE_BYTES)) ? undefined : text;
}

/** Why bytes are not UTF-8, with what they seem to be and how to say so. */
export function notUtf8(sample: Buffer): string {
  const seeming = detect(sample.subarray(0, HEURISTIC_BYTES));
  const label = seeming === null || /^(utf-8|ascii)$/i.test(seeming) ? undefined : decodable(seeming);
  return label === undefined
    ? `${NOT_UTF8}; name its encoding, such as encoding: windows-1252`
    : `${NOT_UTF8} but seems to be ${label}; if it is, add encoding: ${label}`;
}
const HEURISTIC_BYTES = 1 << 14;

function decodable(label: string): string | undefined {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}

/**
 * The same text as UTF-8. UTF-16 is decoded in any case; `named` is the encoding of what is not UTF-8. Bytes that
 * are no text of either are passed on as they are, for the reader to report. Throws ContentProblem for UTF-32 and
 * where UTF-16 breaks off.
 */
export async function* asUtf8(
  bytes: AsyncIterable<Buffer>,
  head: Buffer,
  named: string | undefined,
): AsyncGenerator<Buffer> {
  let encoding: string | undefined = unicodeEncoding(head) ?? (isStateful(named) ? named : undefined);
  let decoder: TextDecoder | undefined;
  const decode = (chunk?: Buffer): Buffer => {
    try {
      return Buffer.from(decoder!.decode(chunk, { stream: chunk !== undefined }));
    } catch {
      throw new ContentProblem(`it is not ${encoding} text throughout`);
    }
  };
  for await (const chunk of bytes) {
    // ASCII is the same in all that are left; the first other bytes decide.
    if (encoding === undefined && named !== undefined && chunk.some((byte) => byte >= 0x80))
      encoding = isUtf8(withoutCutCharacter(chunk)) ? "utf-8" : named;
    if (encoding === undefined || encoding === "utf-8") yield chunk;
    else {
      decoder ??= new TextDecoder(encoding, { fatal: true });
      yield decode(chunk);
    }
  }
  if (decoder !== undefined) yield decode();
}

/** Encodings whose bytes may all be ASCII, or none a character of its own: nothing but their name tells them. */
function isStateful(label: string | undefined): boolean {
  return label !== undefined && /^(utf-16|iso-2022)/.test(label);
}

/** Without the first bytes of a character whose last ones are in the next chunk. */
export function withoutCutCharacter(chunk: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, chunk.byteLength); back++) {
    const byte = chunk[chunk.byteLength - back]!;
    if (byte >= 0xc0) return chunk.subarray(0, chunk.byteLength - back);
    if (byte < 0x80) return chunk;
  }
  return chunk;
}
