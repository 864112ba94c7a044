import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { mock, test } from "node:test";
import fc from "fast-check";
import {
  createProgress,
  formatBar,
  formatDuration,
  formatJson,
  formatNumber,
  formatTable,
  plain,
  printable,
} from "../../../node/output.ts";
import { rawBlock } from "../../../src/objects/object.ts";

function collector(isTTY = false): {
  stream: PassThrough & { isTTY?: boolean; columns?: number };
  text: () => string;
} {
  const stream: PassThrough & { isTTY?: boolean; columns?: number } = new PassThrough();
  if (isTTY) Object.assign(stream, { isTTY, columns: 80, rows: 24 });
  const chunks: string[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
  return { stream, text: () => chunks.join("") };
}

test("columns are aligned, numbers to the right", () => {
  assert.deepEqual(
    formatTable(
      ["module", "generation", "loss"],
      [
        ["lower/0", "9", "3.2"],
        ["head/0", "10", "-"],
      ],
    ),
    ["module   generation  loss", "lower/0           9   3.2", "head/0           10     -"],
  );
  assert.deepEqual(formatTable(["a", "b"], []), ["a  b"]);
});

test("names that peers choose cannot steer the terminal", () => {
  assert.equal(plain("a\u001B[2Jb\rc\nd\u0000"), "ab c d ");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => assert.doesNotMatch(plain(text), /\p{Cc}/u)),
  );
  assert.doesNotMatch(formatTable(["peer"], [["evil\u001B]0;title\u0007"]]).join(""), /\p{Cc}/u);
});

test("durations have a unit that fits", () => {
  const second = 1000;
  const cases: [number, string][] = [
    [0, "0 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [12_345, "12.3 s"],
    [59_949, "59.9 s"],
    [59_951, "1 min 00 s"],
    [245 * second, "4 min 05 s"],
    [3599.6 * second, "1 h 00 min"],
    [7620 * second, "2 h 07 min"],
    [76 * 3600 * second, "3 d 04 h"],
  ];
  for (const [milliseconds, text] of cases) assert.equal(formatDuration(milliseconds), text);
});

test("bars stay within their width, whatever the numbers", () => {
  assert.equal(formatBar(6, 10, 10), "[######----]  60 %");
  assert.equal(formatBar(0, 0, 4), "[----]   0 %");
  assert.equal(formatBar(Infinity, Infinity, 4), "[----]   0 %", "a share that is no number");
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (done, total) =>
      assert.equal(formatBar(done, total, 10).length, 18),
    ),
  );
});

test("a number that is missing is a dash", () => {
  assert.deepEqual(
    [formatNumber(1.23456), formatNumber(2, 0), formatNumber(undefined), formatNumber(Number.NaN)],
    ["1.235", "2", "-", "-"],
  );
});

test("progress that is no terminal is plain lines, and never silent for over 5 s", () => {
  mock.timers.enable({ apis: ["setInterval", "Date"] });
  try {
    const { stream, text } = collector();
    const progress = createProgress(stream);
    progress.update("step 1");
    progress.update("step 2");
    progress.update("step \u001B[31m3");
    mock.timers.tick(4999);
    assert.equal(text(), "step 1\n");
    mock.timers.tick(1);
    assert.equal(text(), "step 1\nstep 3\n");
    mock.timers.tick(5000);
    assert.equal(text(), "step 1\nstep 3\nstep 3 (for 10.0 s)\n");
    progress.line("round 1 done");
    progress.update("step 9");
    progress[Symbol.dispose]();
    assert.ok(text().endsWith("round 1 done\nstep 9\n"));
    assert.doesNotMatch(text().replaceAll("\n", ""), /\p{Cc}/u);
    const before = text();
    mock.timers.tick(60_000);
    assert.equal(text(), before);
  } finally {
    mock.timers.reset();
  }
});

test("progress on a terminal is replaced in place, and lines stay above it", () => {
  const { stream, text } = collector(true);
  const progress = createProgress(stream);
  progress.update("step 1");
  progress.line("round 1 done");
  progress.update("step 2");
  progress[Symbol.dispose]();
  assert.match(text(), /\p{Cc}\[/u);
  assert.ok(text().indexOf("round 1 done") < text().lastIndexOf("step 2"));
});

test("JSON is one line that keeps CIDs, bytes, maps and bigints readable", () => {
  const { cid, bytes } = rawBlock(Buffer.from("x"));
  const json = formatJson({ cid, bytes, big: 12n, map: new Map([["a", cid]]), text: "a\nb" });
  assert.ok(!json.includes("\n"));
  assert.deepEqual(JSON.parse(json), {
    cid: cid.toString(),
    bytes: "eA==",
    big: "12",
    map: { a: cid.toString() },
    text: "a\nb",
  });
});

test("a text for a terminal keeps its lines and steers nothing", () => {
  const text = "a\tb\nc 鯨 \u001b[31mred\u001b]0;title\u0007 \u009b2J\r\u0000";
  assert.equal(printable(text), "a\tb\nc 鯨 [31mred]0;title 2J");
});
