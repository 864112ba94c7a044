/** What of a corpus was left out, and why. */
import { CorpusError } from "../errors.ts";
import type { Skipped, TextDocument } from "./types.ts";

/** Kept in memory; of more, only the counts are. */
const MAX_ENTRIES = 100_000;
/** Most distinct reasons; some name the fields of a record, and a corpus may have any number of those. */
const MAX_REASONS = 1000;
const OTHER = "other reasons";
const MAX_SHOWN = 10;

export interface SkippedReason {
  reason: string;
  count: number;
  /** The first place that it holds of. */
  first: string;
}

/** Collects skipped files and records in bounded memory. */
export class SkippedLog {
  /** The first 100,000. */
  readonly entries: Skipped[] = [];
  readonly #reasons = new Map<string, SkippedReason>();
  readonly #onAdd: (skipped: Skipped) => void;
  #total = 0;

  /** `onAdd` is called for each, for instance to write it to a file. */
  constructor(onAdd: (skipped: Skipped) => void = () => {}) {
    this.#onAdd = onAdd;
  }

  get total(): number {
    return this.#total;
  }

  /** The most frequent first. */
  get reasons(): SkippedReason[] {
    return [...this.#reasons.values()].toSorted((a, b) => b.count - a.count);
  }

  add(skipped: Skipped): void {
    this.#total++;
    if (this.entries.length < MAX_ENTRIES) this.entries.push(skipped);
    const isNew = !this.#reasons.has(skipped.reason);
    const reason = isNew && this.#reasons.size >= MAX_REASONS ? OTHER : skipped.reason;
    const known = this.#reasons.get(reason);
    if (known === undefined) this.#reasons.set(reason, { reason, count: 1, first: placeOf(skipped) });
    else known.count++;
    this.#onAdd(skipped);
  }
}

/** `file`, or `file#record`. */
export function placeOf({ file, record }: Skipped): string {
  return record === undefined ? file : `${file}#${record}`;
}

/** What was skipped by reason, with counts, for people; nothing when nothing was. */
export function describeSkipped(skipped: SkippedLog): string[] {
  if (skipped.total === 0) return [];
  const { reasons } = skipped;
  const shown = reasons.slice(0, MAX_SHOWN);
  const width = number(shown[0]!.count).length;
  const rest = skipped.total - shown.reduce((sum, { count }) => sum + count, 0);
  return [
    `skipped ${number(skipped.total)} ${skipped.total === 1 ? "file or record" : "files and records"}:`,
    ...shown.map(
      ({ reason, count, first }) =>
        `  ${number(count).padStart(width)}  ${count === 1 ? `${first}: ` : ""}${reason}${count === 1 ? "" : ` (the first: ${first})`}`,
    ),
    ...(rest === 0
      ? []
      : [`  ${number(rest).padStart(width)}  for ${number(reasons.length - MAX_SHOWN)} other reasons`]),
  ];
}

/** Passes documents on. Throws CorpusError at their end when there was none, with the reasons why. */
export async function* requireSome(
  documents: AsyncIterable<TextDocument>,
  skipped: SkippedLog,
): AsyncGenerator<TextDocument> {
  let some = false;
  for await (const document of documents) {
    some = true;
    yield document;
  }
  if (!some)
    throw new CorpusError(
      `Nothing of the corpus can be read; mend it, or give other files. ${describeSkipped(skipped).join("\n")}`.trim(),
    );
}

/** Throws CorpusError when anything was skipped: for `--strict`. */
export function requireAll(skipped: SkippedLog): void {
  if (skipped.total > 0)
    throw new CorpusError(
      `Not all of the corpus can be read, and --strict asks for that; mend it, or leave --strict out. ${describeSkipped(skipped).join("\n")}`,
    );
}

function number(value: number): string {
  return value.toLocaleString("en");
}
