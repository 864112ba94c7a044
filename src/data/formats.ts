/** The table of formats: how `create` reads each, or what it advises where it refuses one. */

import { RECORD_SEPARATOR } from "./readers/types.ts";

/** How a format is read. */
type Reader =
  | "text"
  | "markdown"
  | "json"
  | "json-lines"
  | "table"
  | "html"
  | "parquet"
  | "zip"
  | "gzip"
  | "zstd"
  | "bzip2";

export interface Format {
  /** With its article, for sentences. */
  name: string;
  /** Endings of file names, lower case, without the dot. */
  endings: readonly string[];
  /** Bytes that its files start with, as Latin-1; an entry with `@n ` starts at byte n. */
  magic?: readonly string[];
  /** How to tell from the text at its start, where the ending does not say what it is. */
  start?: RegExp;
  /** Absent when `create` refuses the format. */
  reader?: Reader;
  /** What to do about a refused format. */
  advice?: string;
}

/** A string of JSON. */
const STRING = '"(?:[^"\\\\\\n]|\\\\.)*"';

const words = (text: string): string[] => text.split(" ");

/** A file without any of the signs below. */
export const PLAIN_TEXT: Format = {
  name: "plain text",
  endings: words("txt text log asc rst adoc asciidoc org"),
  reader: "text",
};

export const SOURCE_CODE: Format = {
  name: "source code",
  endings: words(
    "js mjs cjs jsx ts mts cts tsx vue svelte astro css scss sass less py pyi rb php pl pm lua r jl c h cc cpp cxx hh hpp " +
      "m mm cs fs fsx vb java kt kts scala groovy clj cljs go rs swift zig nim d dart hs ml mli ex exs erl elm lisp el scm " +
      "rkt f f90 f95 pas ada asm s v sv vhd vhdl cu cl glsl wgsl sql sh bash zsh fish ps1 bat cmd vim tex bib sty yaml yml " +
      "toml ini cfg conf properties env cmake mk gradle proto graphql thrift tf nix diff patch dockerfile makefile",
  ),
  reader: "text",
};

/** The table. Where several match, the first does. */
export const FORMATS: readonly Format[] = [
  PLAIN_TEXT,
  {
    name: "Markdown",
    endings: words("md markdown mdown mkd mdx qmd rmd"),
    reader: "markdown",
  },
  SOURCE_CODE,
  {
    name: "JSON lines",
    endings: words("jsonl ndjson jsonlines ldjson"),
    reader: "json-lines",
  },
  {
    name: "JSON",
    endings: words("json json-seq jsonseq geojson webmanifest"),
    start: new RegExp(
      `^\\s*(${RECORD_SEPARATOR}|\\[\\s*(\\{\\s*["}]|\\[\\s*["[{]|${STRING}\\s*[,\\]])|\\{\\s*(${STRING}\\s*:|\\}))`,
    ),
    reader: "json",
  },
  { name: "a Jupyter notebook", endings: ["ipynb"], reader: "json" },
  { name: "CSV or TSV", endings: words("csv tsv tab psv"), reader: "table" },
  {
    name: "HTML",
    endings: words("html htm xhtml shtml"),
    start: /^\s*(<\?xml[^>]*>\s*)?(<!--(?:(?!-->)[^])*-->\s*)*<(!doctype\s+html|html)\b/i,
    reader: "html",
  },
  { name: "Parquet", endings: words("parquet pq"), magic: ["PAR1"], reader: "parquet" },
  { name: "gzip", endings: words("gz gzip"), magic: ["\x1f\x8b\x08"], reader: "gzip" },
  {
    name: "Zstandard",
    endings: words("zst zstd"),
    magic: [
      "\x28\xb5\x2f\xfd",
      ...Array.from({ length: 16 }, (_, n) => `${String.fromCharCode(0x50 + n)}*M\x18`),
    ],
    reader: "zstd",
  },
  {
    name: "bzip2",
    endings: words("bz2 bzip2"),
    magic: ["BZh@4 1AY&SY", "BZh@4 \x17rE8P\x90"],
    reader: "bzip2",
  },
  {
    name: "a Word, Excel, PowerPoint, OpenDocument or EPUB file",
    endings: words("docx docm xlsx xlsm pptx odt ods odp epub"),
    advice: "convert it to text, for example with pandoc or LibreOffice",
  },
  { name: "zip", endings: ["zip"], magic: ["PK\x03\x04", "PK\x05\x06"], reader: "zip" },

  // Refused, with what to do.
  {
    name: "a Git LFS pointer",
    endings: [],
    start: /^version https:\/\/git-lfs/,
    advice: "fetch the file itself with git lfs pull",
  },
  { name: "a PDF", endings: ["pdf"], magic: ["%PDF-"], advice: "convert it with pdftotext" },
  { name: "PostScript", endings: words("ps eps"), magic: ["%!PS-"], advice: "convert it with ps2ascii" },
  { name: "RTF", endings: ["rtf"], magic: ["{\\rtf"], advice: "convert it to text, for example with pandoc" },
  {
    name: "an old Office file",
    endings: words("doc xls ppt msg"),
    magic: ["\xd0\xcf\x11\xe0"],
    advice: "convert it to text, for example with LibreOffice",
  },
  {
    name: "XML",
    endings: words("xml svg rss atom xsl xslt xsd"),
    start: /^\s*<\?xml\b/,
    advice: "extract its text into .txt or .jsonl files first",
  },
  { name: "subtitles", endings: words("srt vtt"), advice: "take out the time stamps and name it .txt" },
  {
    name: "a mailbox",
    endings: words("mbox"),
    advice: "extract the mails into files of their own first",
  },
  {
    name: "a tar archive",
    endings: words("tar tgz tbz2 tzst txz"),
    magic: ["@257 ustar"],
    advice: "unpack it with tar -xf",
  },
  { name: "7-Zip", endings: ["7z"], magic: ["7z\xbc\xaf\x27\x1c"], advice: "unpack it with 7z x" },
  { name: "xz", endings: words("xz lzma"), magic: ["\xfd7zXZ\0"], advice: "unpack it with unxz" },
  { name: "RAR", endings: ["rar"], magic: ["Rar!\x1a\x07"], advice: "unpack it with unrar x" },
  { name: "LZ4", endings: ["lz4"], magic: ["\x04\x22\x4d\x18"], advice: "unpack it with unlz4" },
  { name: "Brotli", endings: ["br"], advice: "unpack it with brotli -d" },
  { name: "compress", endings: ["z"], magic: ["\x1f\x9d"], advice: "unpack it with uncompress" },
  {
    name: "an Arrow, Feather, ORC or Avro file",
    endings: words("arrow feather orc avro"),
    magic: ["ARROW1\0\0", "ORC", "Obj\x01"],
    advice: "write it as Parquet or JSON lines, for example with pandas",
  },
  {
    name: "an array or model file",
    endings: words("npy npz pkl pickle pt pth safetensors gguf h5 hdf5 onnx"),
    magic: ["\x93NUMPY", "\x89HDF", "GGUF", "\x80\x04\x95", "\x80\x03"],
    advice: "write its texts as JSON lines, if it has any",
  },
  {
    name: "a database",
    endings: words("sqlite sqlite3 db mdb"),
    magic: ["SQLite format 3\0"],
    advice: "export its texts as CSV or JSON lines",
  },
  {
    name: "an image",
    endings: words("png jpg jpeg gif webp bmp tif tiff ico heic avif psd"),
    magic: [
      "\x89PNG",
      "\xff\xd8\xff",
      "GIF87a",
      "GIF89a",
      "@8 WEBP",
      "BM",
      "II*\0",
      "MM\0*",
      "\0\0\x01\0",
      "8BPS",
    ],
    advice: "leave images out, or take their text with an OCR program",
  },
  {
    name: "sound or video",
    endings: words("mp3 mp4 m4a m4v mov avi mkv webm wav flac ogg opus aac wmv flv"),
    magic: ["ID3", "\xff\xfb", "OggS", "fLaC", "@8 WAVE", "@8 AVI ", "@4 ftyp", "\x1aE\xdf\xa3", "FLV\x01"],
    advice: "leave it out, or write down what is said in it",
  },
  {
    name: "a program",
    endings: words("exe dll so dylib o a class jar wasm pyc node"),
    magic: ["\x7fELF", "MZ", "\xca\xfe\xba\xbe", "\xcf\xfa\xed\xfe", "\0asm", "!<arch>\n"],
    advice: "leave programs out of the corpus",
  },
  {
    name: "a font",
    endings: words("ttf otf woff woff2"),
    magic: ["wOFF", "wOF2", "OTTO", "\0\x01\0\0\0"],
    advice: "leave fonts out of the corpus",
  },
];
