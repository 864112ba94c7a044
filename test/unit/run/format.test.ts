import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, formatCount, parseBytes } from "../../../src/run/format.ts";

test("sizes are read as people write them", () => {
  const cases: [string, number][] = [
    ["20GB", 20e9],
    ["20 GiB", 20 * 2 ** 30],
    ["1.5TB", 1.5e12],
    ["500m", 500e6],
    ["64KiB", 65_536],
    ["20G", 20e9],
    ["7 b", 7],
  ];
  for (const [text, bytes] of cases) assert.equal(parseBytes(text, "max-disk"), bytes, text);
});

test("what is no size is refused with an example", () => {
  for (const text of ["", "GB", "-1GB", "0", "20GBit", "1e9", "20 XB", "Infinity"])
    assert.throws(() => parseBytes(text, "max-disk"), {
      name: "UsageError",
      message: /^--max-disk is ".*"; expected a size such as 20GB or 500MiB\.$/,
    });
});

test("a number alone is no size: nobody means 20 bytes by 20", () => {
  for (const text of ["20", "1000", " 1.5 "])
    assert.throws(() => parseBytes(text, "max-disk"), {
      name: "UsageError",
      message: /^--max-disk is ".*", which has no unit; expected a size such as 20GB or 500MiB\.$/,
    });
});

test("one is not many", () => {
  assert.equal(counted(1, "document"), "1 document");
  assert.equal(counted(0, "document"), "0 documents");
  assert.equal(counted(1200, "document", formatCount), "1.20 k documents");
  assert.equal(counted(2, "entry", String, "entries"), "2 entries");
});
