/** The codecs that a run can name in `outer.codec`, and that tensor packs are written in. */
import { InvalidObjectError } from "../errors.ts";
import { bf16 } from "./codecs/bf16.ts";
import { f32 } from "./codecs/f32.ts";
import { int8 } from "./codecs/int8.ts";
import type { Codec } from "./codecs/types.ts";

export const CODECS: Readonly<Record<string, Codec>> = { f32, bf16, int8 };

/** Looks one up by name. Throws InvalidObjectError when there is none. */
export function codecOf(name: string): Codec {
  if (!Object.hasOwn(CODECS, name)) throw new InvalidObjectError(`There is no codec "${name.slice(0, 40)}".`);
  return CODECS[name]!;
}
