/** How a tokenizer cuts text into pre-tokens, as Hugging Face's Rust library does it. */
import { z } from "zod";
import { BYTE_CHARACTERS, PRE_TOKEN } from "./byte-level.ts";
import { translatePattern } from "./oniguruma.ts";
import { unsupported } from "./tokenizer-support.ts";

/** Cuts or changes a piece; `isFirst` says that it begins where the text begins. */
type Step = (piece: string, isFirst: boolean) => string[];

const patternSchema = z.union([z.object({ Regex: z.string() }), z.object({ String: z.string().min(1) })]);
const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
type Behavior = (typeof behaviors)[number];

const byteLevelSchema = z.object({
  type: z.literal("ByteLevel"),
  add_prefix_space: z.boolean().default(true),
  trim_offsets: z.boolean().default(true),
  use_regex: z.boolean().default(true),
});
const metaspaceSchema = z.object({
  type: z.literal("Metaspace"),
  replacement: z.string().refine((text) => Array.from(text).length === 1),
  prepend_scheme: z.enum(["always", "first", "never"]).optional(),
  /** As files were before 2024. */
  add_prefix_space: z.boolean().nullish(),
  str_rep: z.string().optional(),
  split: z.boolean().default(true),
});
const schema = z.discriminatedUnion("type", [
  byteLevelSchema,
  metaspaceSchema,
  z.object({
    type: z.literal("Split"),
    pattern: patternSchema,
    behavior: z.enum(behaviors),
    invert: z.boolean(),
  }),
  z.object({ type: z.literal("Digits"), individual_digits: z.boolean().default(false) }),
  z.object({ type: z.literal("WhitespaceSplit") }),
]);

export interface PreTokenizer {
  /** Cuts a text. `isFirst` says that nothing, such as an added token, comes before it. */
  cut(text: string, isFirst: boolean): string[];
  /** Whether the model sees bytes, each as one character of `BYTE_CHARACTERS`. */
  bytes: boolean;
}

/** Throws CorpusError for a pre-tokenizer that is not supported. */
export function createPreTokenizer(config: unknown): PreTokenizer {
  const steps: Step[] = [];
  let bytes = false;
  for (const part of partsOf(config, "pretokenizers")) {
    // Behind it there are no characters any more.
    if (bytes) throw unsupported("pre-tokenizer ByteLevel in front of another one");
    const parsed = schema.safeParse(part);
    if (!parsed.success) throw unsupported(`pre-tokenizer ${nameOf(part)}`);
    if (parsed.data.type === "ByteLevel") bytes = true;
    // What is first after a cut that removes something would have to be tracked.
    if (parsed.data.type === "Metaspace" && parsed.data.prepend_scheme === "first" && steps.length > 0)
      throw unsupported("pre-tokenizer Metaspace with the scheme first behind another one");
    steps.push(...stepsOf(parsed.data));
  }
  return {
    bytes,
    cut(text, isFirst) {
      let pieces = [text];
      for (const step of steps)
        pieces =
          pieces.length === 1
            ? step(pieces[0]!, isFirst)
            : pieces.flatMap((piece, index) => step(piece, isFirst && index === 0));
      return pieces;
    },
  };
}

/** The parts of a `Sequence`, also of nested ones; null has none. */
export function partsOf(config: unknown, key: "normalizers" | "pretokenizers"): unknown[] {
  if (config === null || config === undefined) return [];
  const sequence = z.object({ type: z.literal("Sequence"), [key]: z.array(z.unknown()) }).safeParse(config);
  return sequence.success
    ? (sequence.data as Record<string, unknown[]>)[key]!.flatMap((part) => partsOf(part, key))
    : [config];
}

/** The type of a part, and what it says, as far as it fits into an error. */
export function nameOf(part: unknown): string {
  const type = typeof part === "object" && part !== null ? Reflect.get(part, "type") : undefined;
  return typeof type === "string" ? type.slice(0, 40) : JSON.stringify(part).slice(0, 80);
}

function stepsOf(part: z.infer<typeof schema>): Step[] {
  switch (part.type) {
    case "ByteLevel": {
      const steps: Step[] = [];
      if (part.add_prefix_space) steps.push((piece) => [piece.startsWith(" ") ? piece : ` ${piece}`]);
      if (part.use_regex) steps.push(split(PRE_TOKEN, "Isolated", false));
      return steps;
    }
    case "Metaspace": {
      const { replacement, add_prefix_space: old } = part;
      const scheme = part.prepend_scheme ?? (old === false ? "never" : "always");
      if (old === false && scheme !== "never") throw unsupported(`pre-tokenizer Metaspace with both schemes`);
      const prepend: Step = (piece, isFirst) => {
        const text = piece.replaceAll(" ", () => replacement);
        const isDue = scheme === "always" || (scheme === "first" && isFirst);
        return [isDue && !text.startsWith(replacement) ? replacement + text : text];
      };
      return part.split ? [prepend, split(literal(replacement), "MergedWithNext", false)] : [prepend];
    }
    case "Split": {
      const pattern =
        "Regex" in part.pattern ? translatePattern(part.pattern.Regex) : literal(part.pattern.String);
      return [split(pattern, part.behavior, part.invert)];
    }
    case "Digits":
      return [split(/\p{N}/gv, part.individual_digits ? "Isolated" : "Contiguous", false)];
    case "WhitespaceSplit":
      return [split(/\p{White_Space}/gv, "Removed", false)];
  }
}

function literal(text: string): RegExp {
  return new RegExp(text.replaceAll(/[$()*+./?[\\\]^{|}]/g, String.raw`\$&`), "gv");
}

/** Cuts at the matches of a pattern, or with `invert` at the text between them. */
function split(pattern: RegExp, behavior: Behavior, invert: boolean): Step {
  return (piece) => {
    if (behavior === "Isolated") {
      // Most expressions match all of a text, which is several times as fast without the places of the matches.
      const all: string[] = piece.match(pattern) ?? [];
      if (all.reduce((length, part) => length + part.length, 0) === piece.length && !all.includes(""))
        return all;
    }
    const parts: { start: number; end: number; isMatch: boolean }[] = [];
    let end = 0;
    for (const match of piece.matchAll(pattern)) {
      if (match.index > end) parts.push({ start: end, end: match.index, isMatch: invert });
      end = match.index + match[0].length;
      parts.push({ start: match.index, end, isMatch: !invert });
    }
    if (end < piece.length) parts.push({ start: end, end: piece.length, isMatch: invert });
    return join(parts, behavior)
      .filter((part) => part.end > part.start)
      .map((part) => piece.slice(part.start, part.end));
  };
}

function join(
  parts: { start: number; end: number; isMatch: boolean }[],
  behavior: Behavior,
): { start: number; end: number }[] {
  if (behavior === "Isolated") return parts;
  if (behavior === "Removed") return parts.filter((part) => !part.isMatch);
  const backwards = behavior === "MergedWithNext";
  const joined: { start: number; end: number }[] = [];
  let before = false;
  for (const [index, part] of (backwards ? parts.toReversed() : parts).entries()) {
    const joins =
      index > 0 && (behavior === "Contiguous" ? part.isMatch === before : part.isMatch && !before);
    before = part.isMatch;
    if (!joins) joined.push({ start: part.start, end: part.end });
    else if (backwards) joined.at(-1)!.start = part.start;
    else joined.at(-1)!.end = part.end;
  }
  return backwards ? joined.toReversed() : joined;
}

/** A pre-token as the model sees it. */
export function asBytes(text: string): string {
  let result = "";
  for (const byte of Buffer.from(text)) result += BYTE_CHARACTERS[byte]!;
  return result;
}
