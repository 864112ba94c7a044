/** What each format gives: files as people have them, and the documents and reasons that must come of them. */
import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { FORMATS } from "../../../src/data/formats.ts";
import { readJson } from "../../../src/data/readers/json.ts";
import type { RecordOptions } from "../../../src/data/records.ts";
import { placeOf } from "../../../src/data/skipped.ts";
import { readAll, temporaryFolder } from "./corpus.ts";

const GOLDEN = path.join(import.meta.dirname, "../../golden/data");

interface Case {
  name: string;
  file: string;
  content: string | Uint8Array;
  options?: RecordOptions;
  /** Position and text of each document. */
  documents?: [string, string][];
  /** Place and reason, as an expression, of each thing that is skipped. */
  skipped?: [string, RegExp][];
}

const lines = (...values: unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");

const CASES: Case[] = [
  // ------------------------------------------------------------ Markdown
  {
    name: "Markdown without its front matter",
    file: "a.md",
    content: "---\ntitle: Whales\ntags: [a, b]\nlong: |\n  text: here\n---\n# Whales\n\nText.\n",
    documents: [["a.md", "# Whales\n\nText.\n"]],
  },
  {
    name: "Markdown with TOML, a mark of byte order and line ends of Windows",
    file: "a.md",
    content: '\ufeff+++\r\ntitle = "Whales"\r\n+++\r\nText.\r\n',
    documents: [["a.md", "Text.\r\n"]],
  },
  ...[
    "título: Baleias\n鯨: [a, b]\n",
    'title: "Whales\n\n  and ships"\n',
    'title: "Whales\nand \\"ships\\""\nnote: \'one\ntwo\'\n',
    "title: Whales: a history\n# a comment\n",
    "a: 1\na: 2\n",
    "",
  ].map((matter) => ({
    name: `Markdown below the YAML ${JSON.stringify(matter)}`,
    file: "a.md",
    content: `---\n${matter}---\nText.\n`,
    documents: [["a.md", "Text.\n"] as [string, string]],
  })),
  ...[
    "---\n- one\n- two\n---\nText.\n",
    "---\n# Whales\n\n---\n# Ships\n",
    "---\n\n---\n\nText.\n",
    "---\n\nNote: this is text below a rule.\n\n---\n\nText.\n",
    "+++\n\nSlide one.\n\n+++\n\nSlide two.\n",
  ].map((text) => ({
    name: `the slides ${JSON.stringify(text)}, which are no front matter`,
    file: "a.md",
    content: text,
    documents: [["a.md", text] as [string, string]],
  })),
  {
    name: "a rule at the start of Markdown, which is no front matter",
    file: "a.md",
    content: "---\n\nOnce upon a time. There was a rule.\n\n---\n\nText.\n",
    documents: [["a.md", "---\n\nOnce upon a time. There was a rule.\n\n---\n\nText.\n"]],
  },
  // ------------------------------------------------------------ source
  {
    name: "source code that looks like data",
    file: "a.js",
    content: '{"text": "a"}\n',
    documents: [["a.js", '{"text": "a"}\n']],
  },
  // ------------------------------------------------------------ JSON
  {
    name: "a JSON list of objects and texts",
    file: "a.json",
    content: JSON.stringify([{ text: "one" }, "two", { content: "three, [x] {y}" }, { id: 4 }], undefined, 2),
    documents: [
      ["a.json#0", "one"],
      ["a.json#1", "two"],
      ["a.json#2", "three, [x] {y}"],
    ],
    skipped: [
      ["a.json#3", /no text under text or another usual name; it has id \(name one with textField\)/],
    ],
  },
  {
    name: "a JSON object",
    file: "a.json",
    content: '{"text": "say \\"hi\\" \\\\", "n": [1, 2]}',
    documents: [["a.json", 'say "hi" \\']],
  },
  {
    name: "a JSON object that holds the list",
    file: "a.json",
    content: JSON.stringify({ version: 1, data: [{ text: "one" }, { text: "two" }] }),
    options: { textFields: ["data.text"] },
    documents: [
      ["a.json#0", "one"],
      ["a.json#1", "two"],
    ],
  },
  {
    name: "JSON objects one after another, over lines",
    file: "a.json",
    content: '{\n  "text": "one"\n}\n{\n  "text": "two"\n}\n',
    documents: [
      ["a.json#0", "one"],
      ["a.json#1", "two"],
    ],
  },
  {
    name: "a JSON list that is cut off",
    file: "a.json",
    content: '[{"text": "one"}, {"text": "tw',
    documents: [["a.json#0", "one"]],
    skipped: [
      ["a.json#1", /not valid JSON/],
      ["a.json#2", /cut off/],
    ],
  },
  { name: "an empty JSON list", file: "a.json", content: "[]", skipped: [["a.json", /it is empty/]] },
  {
    name: "a JSON list in a file whose ending says lines",
    file: "a.jsonl",
    content: '[\n  {"text": "one"},\n  {"text": "two"}\n]\n',
    documents: [
      ["a.jsonl#0", "one"],
      ["a.jsonl#1", "two"],
    ],
  },
  {
    name: "JSON lines in a file without an ending",
    file: "data",
    content: lines({ text: "one" }, { text: "two" }),
    documents: [
      ["data#1", "one"],
      ["data#2", "two"],
    ],
  },
  {
    name: "text that begins with a bracket",
    file: "a.txt",
    content: "[1] Introduction\n{x}",
    documents: [["a.txt", "[1] Introduction\n{x}"]],
  },
  ...[
    "[ ] buy milk\n[x] sell it",
    "[[Alice]] met [[Bob]].",
    '["Hello," she said.]',
    "Convert WEBP to PNG, or ftyp.",
    "Say WAVE AVI ",
  ].map((text) => ({
    name: `text that begins with ${text.slice(0, 12)}`,
    file: "a.txt",
    content: text,
    documents: [["a.txt", text] as [string, string]],
  })),
  {
    name: "JSON lines in a file whose ending says JSON, with bad ones",
    file: "a.json",
    content: `{"text": "b\n${lines({ text: "one" })}{broken\n${lines({ text: "two" }, { text: "three" })}`,
    documents: [
      ["a.json#2", "one"],
      ["a.json#4", "two"],
      ["a.json#5", "three"],
    ],
    skipped: [
      ["a.json#1", /not valid JSON/],
      ["a.json#3", /not valid JSON/],
    ],
  },
  {
    name: "a JSON object with a list whose items stand on lines of their own",
    file: "a.json",
    content: '{"data": [\n{"text": "one"},\n{"text": "two"}\n]}\n',
    options: { textFields: ["data.text"] },
    documents: [
      ["a.json#0", "one"],
      ["a.json#1", "two"],
    ],
  },
  {
    name: "a JSON file that is one chat",
    file: "a.json",
    content: JSON.stringify([
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
    ]),
    documents: [["a.json", "user: Hi\n\nassistant: Hello"]],
  },
  {
    name: "a JSON list of chats, and one of messages and other things",
    file: "a.json",
    content: `${JSON.stringify([[{ role: "user", content: "Hi" }], [{ role: "user", content: "Bye" }]])}
      ${JSON.stringify([{ role: "user", content: "one" }, { content: "two" }])}`,
    documents: [
      ["a.json#0", "user: Hi"],
      ["a.json#1", "user: Bye"],
      ["a.json#2", "one"],
      ["a.json#3", "two"],
    ],
  },
  // ------------------------------------------------------------ JSON lines
  {
    name: "JSON lines with NaN, Infinity, CRLF and a mark of byte order",
    file: "a.jsonl",
    content:
      '\ufeff{"text": "one", "score": NaN}\r\n{"text": "NaN, -Infinity", "x": [-Infinity, Infinity]}\r\n',
    documents: [
      ["a.jsonl#1", "one"],
      ["a.jsonl#2", "NaN, -Infinity"],
    ],
  },
  {
    name: "JSON lines with record separators (RFC 7464)",
    file: "a.jsonl",
    content: '\x1e{"text": "one"}\n\x1e{"text": "cut\n\x1e{\n"text": "two"}\n',
    documents: [
      ["a.jsonl#0", "one"],
      ["a.jsonl#2", "two"],
    ],
    skipped: [["a.jsonl#1", /not valid JSON/]],
  },
  {
    name: "JSON lines with lists of texts",
    file: "a.jsonl",
    content: lines(["one", "two"], { text: ["three", "four"] }, { text: [] }, { text: ["five", 6] }),
    documents: [
      ["a.jsonl#1.0", "one"],
      ["a.jsonl#1.1", "two"],
      ["a.jsonl#2.0", "three"],
      ["a.jsonl#2.1", "four"],
    ],
    skipped: [
      ["a.jsonl#3", /it is empty/],
      ["a.jsonl#4", /no text under/],
    ],
  },
  {
    name: "JSON lines with a nested field, and a field with a dot in its name",
    file: "a.jsonl",
    content: lines({ data: { text: "one" } }, { "data.text": "two" }, { data: { note: "no" } }),
    options: { textFields: ["data.text"] },
    documents: [
      ["a.jsonl#1", "one"],
      ["a.jsonl#2", "two"],
    ],
    skipped: [["a.jsonl#3", /no text under data\.text; it has data/]],
  },
  {
    name: "chats of both kinds, with parts, tools and empty ones",
    file: "a.jsonl",
    content: lines(
      {
        messages: [
          { role: "system", content: "Be kind." },
          { role: "user", content: [{ type: "text", text: "Hi" }, { type: "image_url" }] },
          { role: "assistant", content: null, tool_calls: [] },
          { role: "assistant", content: "Hello" },
        ],
      },
      {
        conversations: [
          { from: "human", value: "Bye" },
          { from: "gpt", value: "Goodbye" },
        ],
      },
      { messages: [] },
    ),
    documents: [
      ["a.jsonl#1", "system: Be kind.\n\nuser: Hi\n\nassistant: Hello"],
      ["a.jsonl#2", "user: Bye\n\nassistant: Goodbye"],
    ],
    skipped: [["a.jsonl#3", /it is empty/]],
  },
  {
    name: "a long record with escapes everywhere, and one with numbers that JSON does not have",
    file: "a.jsonl",
    content: `${JSON.stringify({ id: "\n".repeat(10 << 20), text: "one" })}\n{"x": NaN, "id": "${"\\u4e2d".repeat(4 << 20)}", "text": "-Infinity \\" NaN"}\n`,
    documents: [
      ["a.jsonl#1", "one"],
      ["a.jsonl#2", '-Infinity " NaN'],
    ],
  },
  {
    name: "JSON that is nested without end",
    file: "a.jsonl",
    content: `${"[".repeat(2 << 20)}\n${lines({ text: "one" })}`,
    documents: [["a.jsonl#2", "one"]],
    skipped: [["a.jsonl#1", /nested too deeply|not valid JSON/]],
  },
  // ------------------------------------------------------------ tables
  {
    name: "CSV with quotes, line ends in fields and rows that do not fit",
    file: "a.csv",
    content: 'id,text\r\n1,"a, b\nc"\r\n2,x,y\r\n3,"say ""hi"""\r\n4,it"s\r\n5,\r\n',
    documents: [
      ["a.csv#1", "a, b\nc"],
      ["a.csv#3", 'say "hi"'],
      ["a.csv#4", 'it"s'],
    ],
    skipped: [
      ["a.csv#2", /not as many fields/],
      ["a.csv#5", /it is empty/],
    ],
  },
  {
    name: "CSV with semicolons, a mark of byte order and a capital",
    file: "a.csv",
    content: "\ufeffId;Text\n1;one, two\n",
    documents: [["a.csv#1", "one, two"]],
  },
  {
    name: "TSV with a named column",
    file: "a.tsv",
    content: "id\treview\n1\tgood\n2\tbad\n",
    options: { textFields: ["review"] },
    documents: [
      ["a.tsv#1", "good"],
      ["a.tsv#2", "bad"],
    ],
  },
  {
    name: "CSV without a column of text",
    file: "a.csv",
    content: "1,good\n2,bad\n",
    skipped: [
      [
        "a.csv",
        /no column is named text or another usual name; its first line has 1, good \(name one with textField\)/,
      ],
    ],
  },
  {
    name: "CSV with a quote that is never closed",
    file: "a.csv",
    content: 'text\none\n"two\nthree\n',
    documents: [["a.csv#1", "one"]],
    skipped: [["a.csv#2", /never closed/]],
  },
  {
    name: "CSV with a quote that the next row closes",
    file: "a.csv",
    content: 'id,text\n1,"never closed\n2,"two"\n3,"three"\n4,"""Four"", she\nsaid."\n5,"five" of five\n',
    documents: [
      ["a.csv#2", "three"],
      ["a.csv#3", '"Four", she\nsaid.'],
      ["a.csv#4", '"five" of five'],
    ],
    skipped: [["a.csv#1", /a quote in it is never closed, so that it runs into the next rows/]],
  },
  {
    name: "TSV with quotes that are characters",
    file: "a.tsv",
    content: 'id\ttext\n1\t"Yes," he said.\n2\t"open\n3\tsay "no"\n',
    documents: [
      ["a.tsv#1", '"Yes," he said.'],
      ["a.tsv#2", '"open'],
      ["a.tsv#3", 'say "no"'],
    ],
  },
  {
    name: "TSV with cells in quotes",
    file: "a.tsv",
    content: 'id\ttext\n"1"\t"one\nand\tmore"\n2\ttwo\n',
    documents: [
      ["a.tsv#1", "one\nand\tmore"],
      ["a.tsv#2", "two"],
    ],
  },
  // ------------------------------------------------------------ HTML
  {
    name: "HTML without scripts, styles, tags and head",
    file: "a.html",
    content:
      "<!DOCTYPE html><html><head><title>No</title><style>p{}</style></head><body><h1>Whales &amp; ships</h1>" +
      "<p>Call  me\n<b>Ishmael</b>.</p><script>var no = '<p>no</p>';</script><ul><li>one<li>two</ul>" +
      "<pre>a\n  b</pre><table><tr><td>x</td><td>y</td></tr></table>end<br>line</body></html>",
    documents: [["a.html", "Whales & ships\n\nCall me Ishmael.\n\none\ntwo\n\na\n  b\n\nx y\n\nend\nline"]],
  },
  {
    name: "HTML in a file whose ending says text, as a failed download leaves it",
    file: "a.txt",
    content: "\n<html><body><p>Not found</p></body></html>",
    documents: [["a.txt", "Not found"]],
  },
  {
    name: "HTML that names its encoding",
    file: "a.html",
    content: Buffer.from(
      '<html><head><meta charset="iso-8859-1"></head><body>Caf\u00e9</body></html>',
      "latin1",
    ),
    documents: [["a.html", "Caf\u00e9"]],
  },
  {
    name: "HTML below front matter",
    file: "a.html",
    content: "---\nlayout: post\ntitle: X\n---\n<p>one</p>",
    documents: [["a.html", "one"]],
  },
  {
    name: "text in HTML whose head and body have no tags of their own",
    file: "a.html",
    content: "<!DOCTYPE html><head><meta charset=utf-8><title>No</title><p>one<p>two",
    documents: [["a.html", "one\n\ntwo"]],
  },
  {
    name: "XHTML whose empty elements close themselves",
    file: "a.xhtml",
    content:
      '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/></head><body><p>one</p></body></html>',
    documents: [["a.xhtml", "one"]],
  },
  {
    name: "HTML with spaces that do not break",
    file: "a.html",
    content: "<html><p>10&nbsp;km <b>\u00a0and</b> more</p>",
    documents: [["a.html", "10\u00a0km \u00a0and more"]],
  },
  {
    name: "HTML below thousands of comments",
    file: "a.html",
    content: `${"<!-- a -->\n".repeat(5000)}# T`,
    documents: [["a.html", "# T"]],
  },
  {
    name: "HTML with thousands of comments of which none ends",
    file: "a.html",
    content: "<!--".repeat(20_000),
    skipped: [["a.html", /it is empty/]],
  },
  {
    name: "HTML that says that it is UTF-16, and is not",
    file: "a.html",
    content: '<html><head><meta charset="utf-16"></head><body>Caf\u00e9</body></html>',
    documents: [["a.html", "Caf\u00e9"]],
  },
  {
    name: "HTML that is nested without end",
    file: "a.html",
    content: `<html>${"<div>".repeat(100_000)}x`,
    skipped: [["a.html", /nested too deeply/]],
  },
  // ------------------------------------------------------------ notebooks
  {
    name: "a notebook",
    file: "a.ipynb",
    content: JSON.stringify({
      nbformat: 4,
      nbformat_minor: 5,
      metadata: {},
      cells: [
        { cell_type: "markdown", source: ["# Title\n", "Text."] },
        { cell_type: "code", source: "x = 1", outputs: [{ text: "no" }] },
        { cell_type: "code", source: [] },
      ],
    }),
    documents: [["a.ipynb", "# Title\nText.\n\nx = 1"]],
  },
  {
    name: "a notebook beside a field that is named",
    file: "a.ipynb",
    content: JSON.stringify({ nbformat: 4, cells: [{ cell_type: "markdown", source: "Text." }] }),
    options: { textFields: ["review"] },
    documents: [["a.ipynb", "Text."]],
  },
  // ------------------------------------------------------------ encodings
  ...(["utf-16le", "utf-16be"] as const).flatMap((encoding) => {
    const encode = (text: string): Buffer => {
      const bytes = Buffer.from(text, "utf16le");
      return encoding === "utf-16le" ? bytes : bytes.swap16();
    };
    return [
      {
        name: `${encoding} with a mark of byte order`,
        file: "a.txt",
        content: encode("\ufeff鯨 🐋"),
        documents: [["a.txt", "鯨 🐋"] as [string, string]],
      },
      {
        name: `${encoding} without one`,
        file: "a.jsonl",
        content: encode(lines({ text: "Call me Ishmael." })),
        documents: [["a.jsonl#1", "Call me Ishmael."] as [string, string]],
      },
    ];
  }),
  {
    name: "UTF-32",
    file: "a.txt",
    content: Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]),
    skipped: [["a.txt", /UTF-32.*iconv/]],
  },
  {
    name: "Latin-1 without a word of it",
    file: "a.txt",
    content: Buffer.from("Le caf\u00e9 \u00e9tait ferm\u00e9, h\u00e9las.", "latin1"),
    skipped: [["a.txt", /not UTF-8 text but seems to be windows-1252; if it is, add encoding: windows-1252/]],
  },
  ...(["utf-16le", "utf-16be"] as const).flatMap((encoding) =>
    ["Зовите меня Измаил. Несколько лет тому назад", "叫我以实玛利。几年前，\n没有钱"].map((text) => ({
      name: `the ${encoding} ${text} without a mark and a word of it`,
      file: "a.txt",
      content: encoding === "utf-16le" ? Buffer.from(text, "utf16le") : Buffer.from(text, "utf16le").swap16(),
      skipped: [
        ["a.txt", new RegExp(`UTF-16 without a mark.*add encoding: ${encoding} to`)] as [string, RegExp],
      ],
    })),
  ),
  {
    name: "Windows-1252 that is named",
    file: "a.txt",
    content: Buffer.from([0x93, 0x63, 0x61, 0x66, 0xe9, 0x94, 0x20, 0x80]),
    options: { encoding: "windows-1252" },
    documents: [["a.txt", "\u201ccaf\u00e9\u201d \u20ac"]],
  },
  {
    name: "UTF-8 beside another encoding that is named",
    file: "a.txt",
    content: "caf\u00e9 🐋",
    options: { encoding: "windows-1252" },
    documents: [["a.txt", "caf\u00e9 🐋"]],
  },
  ...["utf-16le", "iso-2022-jp"].flatMap((encoding) =>
    ["Call me Ishmael.", "caf\u00e9 🐋", "\x1b[31mred\x1b[0m caf\u00e9"].map((text) => ({
      name: `the UTF-8 ${JSON.stringify(text)} beside ${encoding} that is named`,
      file: "a.txt",
      content: text,
      options: { encoding },
      documents: [["a.txt", text] as [string, string]],
    })),
  ),
  ...["Зовите меня Измаил.", "叫我以实玛利。"].map((text) => ({
    name: `the UTF-16 ${text} that is named`,
    file: "a.txt",
    content: Buffer.from(text, "utf16le"),
    options: { encoding: "utf-16le" },
    documents: [["a.txt", text] as [string, string]],
  })),
  {
    name: "ISO 2022 that is named, also behind much ASCII",
    file: "a.jsonl",
    content: Buffer.concat([
      Buffer.from(`{"text": "one"}\n${" ".repeat(3 << 20)}\n{"text": "`),
      Buffer.from("\x1b$B7_\x1b(B", "latin1"),
      Buffer.from('"}\n'),
    ]),
    options: { encoding: "iso-2022-jp" },
    documents: [
      ["a.jsonl#1", "one"],
      ["a.jsonl#3", "鯨"],
    ],
  },
  {
    name: "Shift JIS that is named",
    file: "a.txt",
    content: Buffer.from([0x8c, 0x7e, 0x0a]),
    options: { encoding: "shift_jis" },
    documents: [["a.txt", "鯨\n"]],
  },
  {
    name: "a line that is not UTF-8 among others",
    file: "a.jsonl",
    content: Buffer.concat([
      Buffer.from(lines({ text: "one" })),
      Buffer.from('{"text": "caf\u00e9"}\n', "latin1"),
      Buffer.from(lines({ text: "two" })),
    ]),
    documents: [
      ["a.jsonl#1", "one"],
      ["a.jsonl#3", "two"],
    ],
    skipped: [["a.jsonl#2", /not UTF-8/]],
  },
  // ------------------------------------------------------------ empty and refused
  {
    name: "text of which nothing can be seen",
    file: "a.txt",
    content: "\u200b\u200d\ufeff\u00ad\u2060 \n\u3164\u2800",
    skipped: [["a.txt", /it is empty/]],
  },
  {
    name: "a record of which nothing can be seen",
    file: "a.jsonl",
    content: lines({ text: "\u200b" }),
    skipped: [["a.jsonl#1", /it is empty/]],
  },
  {
    name: "a PDF without its ending",
    file: "paper",
    content: "%PDF-1.7\n1 0 obj\n",
    skipped: [["paper", /it is a PDF, which is not read; convert it with pdftotext/]],
  },
  {
    name: "a Word file",
    file: "a.docx",
    content: Buffer.from("PK\x03\x04\x14\0\x06\0", "latin1"),
    skipped: [["a.docx", /Word.*pandoc/]],
  },
  {
    name: "an image under a wrong ending",
    file: "a.txt",
    content: Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1"),
    skipped: [["a.txt", /it is an image/]],
  },
  {
    name: "a program",
    file: "run",
    content: Buffer.from("\x7fELF\x02\x01\x01\0\0", "latin1"),
    skipped: [["run", /it is a program/]],
  },
  {
    name: "a tar archive",
    file: "a.tar",
    content: Buffer.concat([Buffer.alloc(257), Buffer.from("ustar\0"), Buffer.alloc(100)]),
    skipped: [["a.tar", /tar archive.*tar -xf/]],
  },
  {
    name: "XML",
    file: "data",
    content: '<?xml version="1.0"?>\n<feed><p>text</p></feed>',
    skipped: [["data", /it is XML/]],
  },
  {
    name: "a pointer of Git LFS",
    file: "train.jsonl",
    content: "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    skipped: [["train.jsonl", /git lfs pull/]],
  },
  {
    name: "text under the name of Parquet",
    file: "a.parquet",
    content: "404: Not Found",
    skipped: [["a.parquet", /its name says Parquet, but it is plain text/]],
  },
  {
    name: "text that begins as some binary files do",
    file: "a.txt",
    content: "BM is short for BookMaker. MZ and ID3 and ORC are not, nor is PAR1.",
    documents: [["a.txt", "BM is short for BookMaker. MZ and ID3 and ORC are not, nor is PAR1."]],
  },
];

describe("reading formats", () => {
  for (const { name, file, content, options = {}, documents = [], skipped = [] } of CASES)
    it(`reads ${name}`, async (t) => {
      const folder = temporaryFolder(t, { [file]: content });
      const found = await readAll([folder], options);
      assert.deepEqual(
        found.documents.map(({ source, text }) => [source, text]),
        documents,
      );
      assert.deepEqual(
        found.skipped.map(placeOf),
        skipped.map(([place]) => place),
      );
      for (const [at, [, reason]] of skipped.entries()) assert.match(found.skipped[at]!.reason, reason);
    });

  // Written by pyarrow: rows "Call me Ishmael. 鯨", "Some years ago 🐋", null.
  for (const codec of ["none", "lz4", "brotli"])
    it(`reads Parquet packed with ${codec}`, async (t) => {
      const folder = temporaryFolder(t);
      // The ending is missing: the content says what it is.
      cpSync(path.join(GOLDEN, `${codec}.parquet`), path.join(folder, "train"));
      const { documents, skipped } = await readAll([folder]);
      assert.deepEqual(
        documents.map(({ source, text }) => [source, text]),
        [
          ["train#0", "Call me Ishmael. 鯨"],
          ["train#1", "Some years ago 🐋"],
        ],
      );
      assert.deepEqual(skipped, [{ file: "train", record: "2", reason: "the column text holds no text" }]);
    });

  it("reads texts in Parquet columns of bytes, and reports bytes that are no text", async (t) => {
    const folder = temporaryFolder(t);
    cpSync(path.join(GOLDEN, "binary.parquet"), path.join(folder, "a.parquet"));
    const { documents, skipped } = await readAll([folder]);
    assert.deepEqual(
      documents.map(({ source, text }) => [source, text]),
      [["a.parquet#1", "ok"]],
    );
    assert.deepEqual(skipped, [
      { file: "a.parquet", record: "0", reason: "the column text is not UTF-8 text" },
    ]);
  });

  it("says what to do about Parquet that is cut off or damaged", async (t) => {
    const whole = readFileSync(path.join(GOLDEN, "none.parquet"));
    const damaged = Buffer.from(whole).fill(0xff, whole.byteLength - 60, whole.byteLength - 8);
    const folder = temporaryFolder(t, { "a.parquet": whole.subarray(0, -20), "b.parquet": damaged });
    const { skipped } = await readAll([folder]);
    assert.match(skipped[0]!.reason, /cut off.*fetch it again/);
    assert.match(skipped[1]!.reason, /^it is damaged \(.*\); fetch it again/);
  });

  it("reads nested columns of Parquet: structs, lists and chats", async (t) => {
    const folder = temporaryFolder(t);
    cpSync(path.join(GOLDEN, "nested.parquet"), path.join(folder, "nested.parquet"));
    const read = async (textFields?: string[]): Promise<unknown> =>
      (await readAll([folder], { textFields })).documents.map(({ source, text }) => [
        source.replace("nested.parquet", ""),
        text,
      ]);
    assert.deepEqual(await read(["meta.text"]), [
      ["#0", "nested one"],
      ["#1", "nested two"],
    ]);
    assert.deepEqual(await read(["pages"]), [
      ["#0.0", "page a"],
      ["#0.1", "page b"],
      ["#1", "page c"],
    ]);
    assert.deepEqual(await read(), [
      ["#0", "user: Hi\n\nassistant: Hello"],
      ["#1", "user: Bye"],
    ]);
  });

  it("reads every format that the run file's documentation lists, and no other", () => {
    const docs = readFileSync(path.join(import.meta.dirname, "../../../docs/run-file.md"), "utf8");
    const rows = docs.split("<!-- formats -->")[1]!.split("<!-- /formats -->")[0]!;
    const names = [...rows.matchAll(/^\| ([^|]*?) *\| *`\./gm)].map(([, name]) => name!.toLowerCase());
    const read = FORMATS.filter(({ reader }) => reader !== undefined);
    assert.deepEqual(
      names,
      read.map(({ name }) => name.replace(/^an? /, "").toLowerCase()),
    );
    for (const [at, [, endings]] of [...rows.matchAll(/^\| [^|]* \| *(`\.[^|]*)\|/gm)].entries())
      for (const [, ending] of endings!.matchAll(/`\.([^`]+)`/g))
        assert.ok(read[at]!.endings.includes(ending!), `${names[at]} has no .${ending}`);
  });

  it("tells what to do about every format that is refused", () => {
    for (const { name, reader, advice } of FORMATS)
      assert.ok((reader === undefined) === (advice !== undefined), name);
    const endings = FORMATS.flatMap((format) => format.endings);
    assert.equal(new Set(endings).size, endings.length, "no ending stands twice");
  });

  it("reads JSON of which a read ends anywhere", async () => {
    const text = 'a\\"]}[{,\\\\ \n\u{1f40b}';
    const unit = JSON.stringify({ text, x: [[], {}] });
    const bytes = Buffer.from(`[${Array(5).fill(unit).join(",")}]`);
    for (let size = 1; size <= unit.length; size++) {
      const chunks = async function* (): AsyncGenerator<Buffer> {
        for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
      };
      const records: unknown[] = [];
      for await (const record of readJson(chunks(), { textFields: undefined })) records.push(record);
      assert.deepEqual(
        records,
        Array.from({ length: 5 }, (_, record) => ({ record: String(record), text })),
      );
    }
  });
});
