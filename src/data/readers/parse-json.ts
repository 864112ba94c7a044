import { ContentProblem } from "../problem.ts";
import { MAX_VALUE_BYTES } from "./types.ts";

const MAX_JSON_DEPTH = 1000;

/** Parses JSON as data sets have it, where numbers may be NaN and Infinity. Throws ContentProblem with the reason. */
export function parseJson(json: string): unknown {
  if (json.length > MAX_VALUE_BYTES) throw new ContentProblem("it is too long");
  // Objects take some 50 times the memory of their brackets, so that only a long value can do harm.
  if (json.length > 1 << 20 && depthOf(json) > MAX_JSON_DEPTH)
    throw new ContentProblem("it is nested too deeply");
  try {
    return JSON.parse(json);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (!/NaN|Infinity/.test(json)) throw new ContentProblem("it is not valid JSON");
    try {
      return JSON.parse(withoutOddNumbers(json));
    } catch {
      throw new ContentProblem("it is not valid JSON");
    }
  }
}

/** A quote, an escape, a bracket or a number that JSON does not have. A string as a whole would fill the stack. */
const TOKENS = /["[\]{}]|\\.|-?\b(?:NaN|Infinity)\b/gs;

/** The tokens outside of strings. */
function* tokensOf(json: string): Generator<RegExpExecArray> {
  let inString = false;
  for (const match of json.matchAll(TOKENS)) {
    if (match[0] === '"') inString = !inString;
    else if (!inString) yield match;
  }
}

function depthOf(json: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [token] of tokensOf(json)) {
    if (token === "[" || token === "{") deepest = Math.max(deepest, ++depth);
    else if (token === "]" || token === "}") depth--;
  }
  return deepest;
}

/** With null for numbers that JSON does not have. */
function withoutOddNumbers(json: string): string {
  const parts: string[] = [];
  let start = 0;
  for (const { 0: token, index } of tokensOf(json)) {
    if (!/^-?[NI]/.test(token)) continue;
    parts.push(json.slice(start, index), "null");
    start = index + token.length;
  }
  return parts.join("") + json.slice(start);
}
