/**
 * Why a contribution is not folded: found in the objects, whatever the peers say. What they said is held against it
 * (docs/design.md, "Audit").
 */
import { InvalidObjectError, messageOf } from "../errors.ts";

/** Why no peer may fold a contribution, in the words of a report. */
export type Reason = { kind: Kind; words: string };

/** What can be wrong with a contribution that is signed and meets the rules. */
export type Kind = "stale" | "repeated" | "tensors" | "loss" | "damaged";

/** How peers say it; the first that fits. */
const SAID: [Kind, RegExp][] = [
  ["stale", /generations? old/],
  ["repeated", /already contributed this round/],
  ["damaged", /damaged on the only disk/],
  ["loss", /raises the loss on held-out text/],
  // All that is found by decoding them.
  ["tensors", /./s],
];

export function kindOfWords(words: string): Kind {
  return SAID.find(([, pattern]) => pattern.test(words))![0];
}

export const stale = (maxStaleness: number): Reason => ({
  kind: "stale",
  words: `over ${maxStaleness} generations old`,
});
export const REPEATED: Reason = { kind: "repeated", words: "its peer already contributed this round" };

/** The message of an error of decoding tensors. Throws any other error again. */
export function invalidTensors(error: unknown): Reason {
  if (!(error instanceof InvalidObjectError)) throw error;
  return { kind: "tensors", words: messageOf(error) };
}

/** What a peer said against a contribution that the objects cannot tell: the loss takes an engine, which this lacks. */
export const LOSS: Reason = { kind: "loss", words: "it raises the loss on held-out text" };

/**
 * What is wrong with what a peer said against a contribution; undefined when nothing is.
 * @param found all reasons for which the objects say that it may not be folded
 * @param isDoubled whether its signer has contributed another one of the same piece of work, folded or not
 */
export function contradiction(
  said: string,
  found: readonly Reason[],
  isDoubled: boolean,
): string | undefined {
  const kind = kindOfWords(said);
  // A peer whose disk lost the outer gradient makes another.
  if (kind === "damaged" ? isDoubled : found.some((reason) => reason.kind === kind)) return undefined;
  const truth =
    found.length === 0
      ? "and its objects give no such reason"
      : `where its objects say: ${found.map(({ words }) => words).join("; ")}`;
  return `a peer rejected it, saying "${said}", ${truth}`;
}

/**
 * What is wrong with what peers said against a version; undefined when nothing is. The objects decide where they can:
 * a version that does not follow is refused rightly, and one that does is not, unless it folds what only an engine can
 * try. Of one that cannot be folded again the peers are believed.
 */
export function contradictedVersion(said: readonly string[], follows: boolean): string | undefined {
  const against = said.find((words) => kindOfWords(words) !== LOSS.kind);
  return !follows || against === undefined
    ? undefined
    : `a peer refused it, saying "${against}", and it follows`;
}
