/** Refuses a run whose text has too few targets to train or to score. Targets count, not tokens. */
import { CorpusError } from "../errors.ts";
import { counted } from "../run/format.ts";
import { maskedTokens, type SequenceOptions, usefulWindows } from "./sequences.ts";

export interface TargetOptions extends Omit<SequenceOptions, "endOfText"> {
  /** Paths, P. */
  paths: number;
  /** Copies of a path; each needs a sequence of its own. */
  replicas: number;
}

/** The tokens of a split, as far as they count. */
export interface SplitTargets {
  documents: number;
  tokens: number;
  /** Documents with a target. */
  useful: number;
  /** Tokens that are trained on, or scored. */
  targets: number;
}

export function noTargets(): SplitTargets {
  return { documents: 0, tokens: 0, useful: 0, targets: 0 };
}

/** Counts a document of `length` tokens whose first `masked` are no targets. */
export function countTargets(split: SplitTargets, length: number, masked: number): void {
  split.documents++;
  split.tokens += length;
  if (length <= masked) return;
  split.useful++;
  split.targets += length - masked;
}

/** Throws CorpusError when the splits cannot do for any routing. */
export function requireTargets(train: SplitTargets, validation: SplitTargets, options: TargetOptions): void {
  const { paths, replicas, sequenceLength, prefixTokens } = options;
  const least = paths * replicas * sequenceLength;
  if (train.useful < paths || train.targets < least)
    throw new CorpusError(
      `${describe("The corpus", train, "training document", options)}; ` +
        `${counted(paths, "path")}${replicas > 1 ? ` of ${replicas} replicas` : ""} ${paths === 1 ? "needs" : "need"} ` +
        `at least ${counted(least, "such token")} in ${counted(paths, "document")}. ${advice(options)}`,
    );
  if (validation.documents === 0)
    throw new CorpusError(
      "No document could be held out for validation; give more texts or raise data.validationFraction.",
    );
  if (validation.targets === 0)
    throw new CorpusError(
      `Of ${counted(validation.documents, "held-out document")} none has more than the ${counted(prefixTokens, "token")} that route it, ` +
        "so nothing could be scored. Give longer texts, raise data.validationFraction, or lower routing.prefixTokens.",
    );
}

/** Throws CorpusError when a path got too little to train on. `lengths` are those of its documents, in order. */
export function requirePathTargets(path: number, lengths: number[], options: TargetOptions): void {
  const { replicas, sequenceLength } = options;
  const offsets = [0];
  for (const length of lengths) offsets.push(offsets.at(-1)! + length);
  const shard = {
    documents: lengths.length,
    tokens: offsets.at(-1)!,
    offset: (index: number) => offsets[index]!,
  };
  const { windows, targets } = usefulWindows(shard, options);
  if (windows.length >= replicas && targets >= replicas * sequenceLength) return;
  const got = noTargets();
  for (const length of lengths) countTargets(got, length, maskedTokens(options));
  throw new CorpusError(
    `${describe(`Path ${path}`, { ...got, targets }, "document", options)}; ` +
      `${replicas > 1 ? `its ${replicas} replicas need` : "it needs"} at least ${counted(replicas * sequenceLength, "such token")}. ` +
      advice(options),
  );
}

function describe(who: string, split: SplitTargets, noun: string, options: TargetOptions): string {
  return (
    `${who} has ${counted(split.documents, noun)} with ${counted(split.tokens, "token")}, of which ` +
    `${counted(split.targets, "token")} in ${counted(split.useful, "document")} can be trained on, ` +
    `since the first ${counted(maskedTokens(options), "token")} of each document are not`
  );
}

function advice({ maskPrefix, prefixTokens }: TargetOptions): string {
  const lower = maskPrefix && prefixTokens > 1 ? ", lower routing.prefixTokens" : "";
  return `Give more or longer texts, use a smaller grid${lower}, or join short records that belong together.`;
}
