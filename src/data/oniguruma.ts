/**
 * Regular expressions of tokenizers. They are written for Oniguruma, which Hugging Face's Rust library runs, and mean
 * something else in JavaScript here and there. What is translated was compared character by character; everything else is
 * refused, since a wrong cut would go unnoticed.
 */
import { unsupported } from "./tokenizer-support.ts";

/** Assigned in Unicode 17, which JavaScript knows; Oniguruma 6.9.10 knows Unicode 16, where these are nothing. */
const UNICODE_17 = ranges(
  "88f c5c cdc 1acf-1add 1ae0-1aeb 20c1 2b96 a7ce-a7cf a7d2 a7d4 a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce 10940-10959 " +
    "10ec5-10ec7 10ed0-10ed8 10efa-10efb 11b60-11b67 11db0-11ddb 11de0-11de9 16ea0-16eb8 16ebb-16ed3 16ff2-16ff6 " +
    "187f8-187ff 18d09-18d1e 18d80-18df2 1ccfa-1ccfc 1ceba-1ced0 1cee0-1cef0 1e6c0-1e6de 1e6e0-1e6f5 1e6fe-1e6ff " +
    "1f6d8 1f777-1f77a 1f8d0-1f8d8 1fa54-1fa57 1fa8a 1fa8e 1fac8 1facd 1faea 1faef 1fbfa 2b73a-2b73f 2cea2-2cead " +
    "323b0-33479",
);
/** A letter that changed from lower case to other in Unicode 17. */
const MOVED = String.raw`\u{295}`;
const PROPERTIES = new Map(
  ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "Nd", "P", "S", "Z"].map((name) => [
    name,
    propertyClass(name),
  ]),
);

function ranges(text: string): string {
  return text.replaceAll(/[0-9a-f]+/g, (code) => `\\u{${code}}`).replaceAll(" ", "");
}

function propertyClass(name: string): string {
  const known = `[\\p{${name}}--[${UNICODE_17}${name === "Lo" ? MOVED : ""}]]`;
  return name === "Ll" ? `[${known}${MOVED}]` : known;
}

/** ASCII letters with a third form when case is ignored: long s and the sign of Kelvin. */
const THIRD_CASE = new Map([
  ["s", "ſ"],
  ["k", "\u{212a}"],
]);
/** Letters that match one character together when case is ignored, such as ß. */
const FOLDED_TOGETHER = /ss|ff|fi|fl|st/i;

const TOKEN =
  /\\p\{(?<property>\w+)\}|\\P\{(?<negated>\w+)\}|\\(?<escape>[^\n])|(?<open>\((?:\?(?:i:|:|=|!|<=|<!))?)(?!\?)|(?<close>\))|(?<class>\[\^?)|(?<quantifier>[*+?]|\{\d+(?:,\d*)?\})(?<mode>[?+]?)|(?<bar>\|)|(?<dot>\.)|(?<literal>[^\\()[\]{}*+?|.^$])/suy;
const CLASS_TOKEN =
  /\\p\{(?<property>\w+)\}|\\P\{(?<negated>\w+)\}|\\(?<escape>[^\n])|(?<end>\])|(?<bad>\[|&&)|(?<literal>[^\\[\]])/suy;
const CONTROL = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["f", "\f"],
  ["v", "\v"],
]);

/** Translates an expression. Throws CorpusError that names what has no translation. */
export function translatePattern(source: string): RegExp {
  const refuse = (what: string): never => {
    throw unsupported(`expression ${JSON.stringify(source)} with ${what}`);
  };
  const property = (name: string): string =>
    PROPERTIES.get(name) ?? refuse(`the class \\p{${name}}, which was not compared`);
  const letter = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`;

  /** What stands for an escape: a class, or the character itself. */
  const escaped = (character: string): { set: string } | { character: string } => {
    if (character === "s") return { set: String.raw`\p{White_Space}` };
    if (character === "S") return { set: String.raw`\P{White_Space}` };
    if (character === "d") return { set: property("Nd") };
    const plain = CONTROL.get(character) ?? (/[0-9A-Za-z]/.test(character) ? undefined : character);
    return plain === undefined ? refuse(`\\${character}, which was not compared`) : { character: plain };
  };

  let at = 0;
  function readClass(): string {
    let result = "";
    /** The last single character, which may begin a range. */
    let last: string | undefined;
    let range = false;
    const add = (set: string): void => {
      if (range) refuse("a range that ends with a class");
      result += set;
      last = undefined;
    };
    const addCharacter = (character: string): void => {
      result += letter(character);
      last = range ? undefined : character;
      range = false;
    };
    for (let first = true; ; first = false) {
      CLASS_TOKEN.lastIndex = at;
      const groups = CLASS_TOKEN.exec(source)?.groups;
      if (groups === undefined) return refuse("a class without an end");
      at = CLASS_TOKEN.lastIndex;
      if (groups["end"] !== undefined) {
        if (first) refuse("an empty class");
        return range ? `${result.slice(0, -1)}${letter("-")}]` : `${result}]`;
      }
      if (groups["bad"] !== undefined) refuse(`${groups["bad"]} inside of a class`);
      else if (groups["property"] !== undefined) add(property(groups["property"]));
      else if (groups["negated"] !== undefined) add(`[^${property(groups["negated"])}]`);
      else if (groups["escape"] !== undefined) {
        const found = escaped(groups["escape"]);
        if ("set" in found) add(found.set);
        else addCharacter(found.character);
      } else if (groups["literal"] === "-" && last !== undefined && source[at] !== "]") {
        range = true;
        result += "-";
      } else if (range || groups["literal"] !== "-") addCharacter(groups["literal"]!);
      else {
        // At either end a hyphen is itself; behind a class Oniguruma takes it for one, too, but warns.
        if (!first && source[at] !== "]") refuse("a hyphen in the middle of a class");
        addCharacter("-");
      }
    }
  }

  let result = "";
  /** For each open group whether case is ignored inside. */
  const cases = [false];
  let letters = "";
  while (at < source.length) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined)
      return refuse(`${JSON.stringify(source.slice(at, at + 4))}, which was not compared`);
    at = TOKEN.lastIndex;
    const ignoreCase = cases.at(-1)!;
    if (
      ignoreCase &&
      groups["literal"] === undefined &&
      groups["close"] === undefined &&
      groups["bar"] === undefined
    )
      refuse("more than letters where case is ignored");
    if (groups["literal"] === undefined) letters = "";
    if (groups["property"] !== undefined) result += property(groups["property"]);
    else if (groups["negated"] !== undefined) result += `[^${property(groups["negated"])}]`;
    else if (groups["escape"] !== undefined) {
      const found = escaped(groups["escape"]);
      result += "set" in found ? found.set : letter(found.character);
    } else if (groups["open"] !== undefined) {
      cases.push(groups["open"] === "(?i:");
      result += groups["open"] === "(?i:" || groups["open"] === "(" ? "(?:" : groups["open"];
    } else if (groups["close"] !== undefined) {
      cases.pop();
      if (cases.length === 0) refuse("a group that was not opened");
      result += ")";
    } else if (groups["class"] !== undefined) result += groups["class"] + readClass();
    else if (groups["quantifier"] !== undefined) {
      if (groups["mode"] === "+") refuse(`the possessive quantifier ${groups["quantifier"]}+`);
      result += groups["quantifier"] + groups["mode"]!;
    } else if (groups["bar"] !== undefined) result += "|";
    else if (groups["dot"] !== undefined) result += String.raw`[^\n]`;
    else {
      const literal = groups["literal"]!;
      letters += literal;
      if (!ignoreCase) result += letter(literal);
      else if (literal > "\u007f" || FOLDED_TOGETHER.test(letters))
        refuse("letters whose case cannot be ignored alike");
      else
        result += `[${letter(literal.toLowerCase())}${letter(literal.toUpperCase())}${THIRD_CASE.get(literal.toLowerCase()) ?? ""}]`;
    }
  }
  try {
    return new RegExp(result, "gv");
  } catch (error) {
    if (error instanceof SyntaxError) return refuse("a form that JavaScript does not know");
    throw error;
  }
}
