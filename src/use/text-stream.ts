/** Turns token ids into text as they come, without ever showing half a character. */

/** What decoders put where bytes are no character, or not one yet. */
const REPLACEMENT = "\uFFFD";
/** Most bytes of an incomplete character; decoders may decode each of them by itself. */
const MOST_INCOMPLETE = 3;
/** Tokens before the text that are decoded with it, since some decoders treat the first token in a way of its own. */
const CONTEXT = 8;

export interface TextStream {
  /** The text that is certain once this token is there; often empty. */
  push(id: number): string;
  /** What is left: bytes that never became a character are replacement characters. */
  end(): string;
}

/**
 * The pieces of all `push` and `end` together are the text of the tokens. `before` is what they continue. Decodes only
 * what is not certain yet and a few tokens before it, so that a long text costs no more per token than a short one.
 */
export function createTextStream(
  decode: (ids: ArrayLike<number>) => string,
  before: ArrayLike<number> = [],
): TextStream {
  const ids = Array.from(before).slice(-CONTEXT);
  /** `ids` from `start` to `certain` are shown whole; `shown` characters are shown of all from `start` on. */
  let start = 0;
  let certain = ids.length;
  let shown = decode(ids).length;

  return {
    push(id) {
      ids.push(id);
      const text = decode(ids.slice(start));
      const whole = text.slice(0, text.length - incomplete(text));
      const piece = whole.slice(shown);
      shown = Math.max(shown, whole.length);
      if (whole.length === text.length) {
        start = certain;
        certain = ids.length;
        shown = decode(ids.slice(start)).length;
      }
      return piece;
    },
    end: () => decode(ids.slice(start)).slice(shown),
  };
}

/** Characters at the end that a further token may still change. */
function incomplete(text: string): number {
  let count = 0;
  while (count < MOST_INCOMPLETE && text.at(-1 - count) === REPLACEMENT) count++;
  return count;
}
