/** Metadata at the start of a Markdown file: YAML between lines of `---`, or TOML between lines of `+++`. */
import { isMap, parseDocument } from "yaml";

/** Latin-1 has as many characters as bytes. */
const YAML = /^(?:\xef\xbb\xbf)?---[ \t]*\r?\n((?:[^\n]*\n)*?)(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/;
const TOML = /^(?:\xef\xbb\xbf)?\+\+\+[ \t]*\r?\n((?:[^\n]*\n)*?)\+\+\+[ \t]*(?:\r?\n|$)/;
const TOML_SIGN = /^[ \t]*(?:[\w"'.-]+[ \t]*=|\[\[?[\w"'. -]+\]\]?[ \t]*\r?$)/m;
/** A value in quotes. Many programs do not indent its further lines, as YAML asks. */
const QUOTED = /:[ \t]+(?:"(?:[^"\\]|\\.)*"|'[^']*')/gs;
const MAX_BYTES = 1 << 16;

/** The same UTF-8 without its front matter, of at most 64 KiB. A rule above text, or between slides, is none. */
export async function* withoutFrontMatter(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first = true;
  for await (const chunk of bytes) {
    yield first ? chunk.subarray(frontMatterBytes(chunk)) : chunk;
    first = false;
  }
}

function frontMatterBytes(chunk: Buffer): number {
  const start = chunk.toString("latin1", 0, MAX_BYTES);
  const yaml = YAML.exec(start);
  if (yaml !== null && (yaml[1] === "" || isYamlMap(Buffer.from(yaml[1]!, "latin1").toString())))
    return yaml[0].length;
  const toml = TOML.exec(start);
  return toml !== null && TOML_SIGN.test(toml[1]!) ? toml[0].length : 0;
}

function indent(value: string): string {
  return value.replaceAll("\n", "\n ");
}

function isYamlMap(text: string): boolean {
  // Below a rule, text stands behind a blank line; metadata does not.
  if (/^[ \t]*\r?\n/.test(text)) return false;
  try {
    const { contents, errors } = parseDocument(text.replaceAll(QUOTED, indent), {
      uniqueKeys: false,
      strict: false,
      logLevel: "silent",
    });
    // A title with a colon in it is no YAML, but usual.
    return isMap(contents) && errors.every(({ code }) => code === "BLOCK_AS_IMPLICIT_KEY");
  } catch {
    return false;
  }
}
