import { Parser } from "htmlparser2";
import { encodingName } from "../../run/encoding-name.ts";
import { ContentProblem, reasonOf } from "../problem.ts";
import { decodeUtf8 } from "./text.ts";
import { MAX_VALUE_BYTES, type RecordOrProblem, TOO_LONG } from "./types.ts";

const words = (text: string): Set<string> => new Set(text.split(" "));

/** Elements whose content no reader of the page sees as text. */
const HIDDEN = words(
  "script style title template noscript svg math canvas iframe object audio video select datalist",
);
/** Elements that stand on lines of their own, and those with a blank line around them. */
const LINES = words(
  "div section article main header footer nav aside address figure figcaption li dt dd tr caption form fieldset legend " +
    "details summary option body html",
);
const PARAGRAPHS = words("p h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre hr");
/** Browsers stop nesting at 512. */
const MAX_DEPTH = 10_000;

/** The text of a page: paragraphs and headings divided by blank lines, without scripts, styles and tags. */
export async function* readHtml(bytes: AsyncIterable<Buffer>): AsyncGenerator<RecordOrProblem> {
  const page = new PageText();
  try {
    for await (const text of decodeUtf8(bytes)) page.push(text);
  } catch (error) {
    yield { record: "", problem: reasonOf(error) };
    return;
  }
  yield { record: "", text: page.finish() };
}

class PageText {
  readonly #parser: Parser;
  #parts: string[] = [];
  #size = 0;
  #depth = 0;
  #hidden = 0;
  #preformatted = 0;
  /** Line ends that are due before the next text. */
  #lines = 0;
  #space = false;

  constructor() {
    this.#parser = new Parser(
      {
        onopentagname: (name) => {
          if (++this.#depth > MAX_DEPTH) throw new ContentProblem("its elements are nested too deeply");
          if (HIDDEN.has(name)) this.#hidden++;
          if (name === "pre" || name === "textarea") this.#preformatted++;
          if (name === "br") this.#lines = Math.min(2, this.#lines + 1);
          if (name === "td" || name === "th") this.#space = true;
          this.#breakAt(name);
        },
        onclosetag: (name) => {
          this.#depth--;
          if (HIDDEN.has(name)) this.#hidden--;
          if (name === "pre" || name === "textarea") this.#preformatted--;
          this.#breakAt(name);
        },
        ontext: (text) => this.#text(text),
      },
      { recognizeSelfClosing: true },
    );
  }

  push(text: string): void {
    this.#parser.write(text);
  }

  finish(): string {
    this.#parser.end();
    return this.#parts.join("");
  }

  #breakAt(name: string): void {
    if (PARAGRAPHS.has(name)) this.#lines = 2;
    else if (LINES.has(name)) this.#lines = Math.max(1, this.#lines);
  }

  #text(text: string): void {
    if (this.#hidden > 0) return;
    const shown = this.#preformatted > 0 ? text : text.replaceAll(/[ \t\r\n\f]+/g, " ");
    const trimmed = this.#preformatted > 0 ? shown : shown.replaceAll(/^ | $/g, "");
    if (trimmed === "") {
      this.#space ||= shown !== "";
      return;
    }
    const gap = this.#lines > 0 ? "\n".repeat(this.#lines) : this.#space || shown.startsWith(" ") ? " " : "";
    this.#add(this.#parts.length === 0 ? trimmed : gap + trimmed);
    this.#lines = 0;
    this.#space = this.#preformatted === 0 && shown.endsWith(" ");
  }

  #add(piece: string): void {
    this.#size += piece.length;
    if (this.#size > MAX_VALUE_BYTES) throw new ContentProblem(`its text ${TOO_LONG}`);
    this.#parts.push(piece);
  }
}

/** The encoding that a page names for itself, in its first bytes. By the HTML standard UTF-16 there means UTF-8. */
export function declaredEncoding(head: string): string | undefined {
  const label = /<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]+)/i.exec(head)?.[1];
  const name = label === undefined ? undefined : encodingName(label);
  return name?.startsWith("utf-16") ? "utf-8" : name;
}
