/** Counts the characters of a corpus that its tokenizer has no token for. */

/** What a corpus loses. */
export interface Losses {
  characters: number;
  documents: number;
  /** The characters that are lost most often, most frequent first. */
  examples: string[];
}

/** Losses, and what becomes of the characters: `hasUnknown` writes the unknown token, else they are left out. */
export type TokenizerLosses = Losses & { hasUnknown: boolean };

const EXAMPLES = 5;
/** Distinct characters that are counted one by one: more than most scripts have. */
const MAX_DISTINCT = 1 << 16;

export class LossCounter {
  readonly #counts = new Map<string, number>();
  #characters = 0;
  #documents = 0;
  #isNew = true;

  /** Begins with another document. */
  nextDocument(): void {
    this.#isNew = true;
  }

  /** Bound, so that it can be passed on. */
  readonly add = (character: string): void => {
    this.#characters++;
    if (this.#isNew) this.#documents++;
    this.#isNew = false;
    const count = this.#counts.get(character) ?? 0;
    if (count > 0 || this.#counts.size < MAX_DISTINCT) this.#counts.set(character, count + 1);
  };

  get losses(): Losses {
    const most = [...this.#counts].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    return {
      characters: this.#characters,
      documents: this.#documents,
      examples: most.slice(0, EXAMPLES).map(([character]) => character),
    };
  }
}

/** One line for `create`, or none. */
export function describeLosses({ characters, documents, examples, hasUnknown }: TokenizerLosses): string[] {
  if (characters === 0) return [];
  const shown = examples.map((character) => {
    const code = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
    return /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ? `${character} (${code})` : code;
  });
  const count = (number: number, noun: string): string =>
    `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  return [
    `the tokenizer has no token for ${count(characters, "character")} in ${count(documents, "document")} ` +
      `(${shown.join(", ")}) and ${hasUnknown ? "writes the unknown token instead" : "leaves them out"}`,
  ];
}
