import { messageOf } from "../errors.ts";

/** What is wrong inside a corpus file. It is reported, and the rest of the corpus is read. */
export class ContentProblem extends Error {
  override name = "ContentProblem";
}

/** Bytes are no text of the encoding that they should have. */
export class NotText extends ContentProblem {
  override name = "NotText";
}

/** The reason of anything thrown while a file is read, without what varies from record to record. */
export function reasonOf(error: unknown): string {
  if (error instanceof ContentProblem) return error.message;
  if (error instanceof TypeError && "code" in error && error.code === "ERR_ENCODING_INVALID_ENCODED_DATA")
    return NOT_UTF8;
  if (error instanceof RangeError && /call stack/.test(error.message)) return "it is nested too deeply";
  return messageOf(error);
}

export const NOT_UTF8 = "it is not UTF-8 text";
