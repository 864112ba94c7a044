import type { AddedToken } from "./tokenizer-support.ts";

/** A piece of a text: that of an added token, or what lies between two. */
export interface Section {
  text: string;
  /** Undefined for text that is no added token. */
  id: number | undefined;
  start: number;
}

/** Finds added tokens in a text, the leftmost first and of those the longest. `contentOf` is what is looked for. */
export function createAddedTokenFinder(
  tokens: AddedToken[],
  contentOf: (token: AddedToken) => string,
): (text: string) => Section[] {
  const ids = new Map(tokens.map((token) => [contentOf(token), token.id]));
  ids.delete("");
  if (ids.size === 0) return (text) => (text === "" ? [] : [{ text, id: undefined, start: 0 }]);
  const longestFirst = [...ids.keys()].toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(escape).join("|"), "gu");
  return (text) => {
    const sections: Section[] = [];
    let end = 0;
    const addText = (to: number): void => {
      if (to > end) sections.push({ text: text.slice(end, to), id: undefined, start: end });
    };
    for (const match of text.matchAll(pattern)) {
      addText(match.index);
      sections.push({ text: match[0], id: ids.get(match[0]), start: match.index });
      end = match.index + match[0].length;
    }
    addText(text.length);
    return sections;
  };
}

function escape(text: string): string {
  return text.replaceAll(/[$()*+./?[\\\]^{|}]/g, String.raw`\$&`);
}
