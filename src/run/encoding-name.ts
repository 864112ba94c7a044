/** What an encoding's name must be, in the words of errors. */
export const EXPECTED_ENCODING =
  "expected an encoding such as windows-1252, iso-8859-2, shift_jis, gb18030, koi8-r or utf-16le";

/** The WHATWG name of an encoding, or undefined for a name that no decoder has. */
export function encodingName(label: string): string | undefined {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}
