import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { InvalidObjectError } from "../../../src/errors.ts";
import { encodeHeader, indexOf, planFiles, writeFiles } from "../../../src/use/safetensors.ts";
import { temporaryFolder } from "../data/corpus.ts";
import { readSafetensors } from "./safetensors.ts";

async function* each(...tensors: number[][]): AsyncGenerator<Float32Array> {
  for (const tensor of tensors) yield Float32Array.from(tensor);
}

test("a file has the bytes that the format asks for", async (t) => {
  const folder = temporaryFolder(t);
  const tensors = [
    { name: "a", shape: [2, 1] },
    { name: "b", shape: [1] },
  ];
  await writeFiles(folder, planFiles(tensors, 1000), each([1, -2], [0.5]), () => {});
  const header =
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}';
  // 143 characters, and a space up to a multiple of 8.
  const expected = Buffer.concat([
    Buffer.from("9000000000000000", "hex"),
    Buffer.from(`${header}${" ".repeat(144 - header.length)}`),
    Buffer.from("0000803f000000c00000003f", "hex"),
  ]);
  assert.deepEqual(readFileSync(path.join(folder, "model.safetensors")), expected);
});

test("numbers begin at a multiple of eight bytes, whatever the names", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (name) => {
      const bytes = Buffer.from(encodeHeader([{ name, shape: [1] }]));
      assert.equal(bytes.byteLength % 8, 0);
      assert.equal(Number(bytes.readBigUInt64LE(0)), bytes.byteLength - 8);
      const names = new Set(Object.keys(JSON.parse(bytes.subarray(8).toString())));
      assert.deepEqual(names, new Set(["__metadata__", name]));
    }),
  );
});

test("tensors are spread over files in order, and one that is too large has its own", () => {
  const tensors = [3, 2, 1, 9, 1, 1].map((size, index) => ({ name: `t${index}`, shape: [size] }));
  const files = planFiles(tensors, 20);
  assert.deepEqual(
    files.map(({ name, tensors: own, bytes }) => [name, own.map((tensor) => tensor.name).join(), bytes]),
    [
      ["model-00001-of-00004.safetensors", "t0,t1", 20],
      ["model-00002-of-00004.safetensors", "t2", 4],
      ["model-00003-of-00004.safetensors", "t3", 36],
      ["model-00004-of-00004.safetensors", "t4,t5", 8],
    ],
  );
  assert.deepEqual(indexOf(files), {
    metadata: { total_size: 68 },
    weight_map: {
      t0: "model-00001-of-00004.safetensors",
      t1: "model-00001-of-00004.safetensors",
      t2: "model-00002-of-00004.safetensors",
      t3: "model-00003-of-00004.safetensors",
      t4: "model-00004-of-00004.safetensors",
      t5: "model-00004-of-00004.safetensors",
    },
  });
  assert.deepEqual(
    planFiles(tensors, 68).map(({ name }) => name),
    ["model.safetensors"],
  );
});

test("what is written is read again, with the progress in bytes", async (t) => {
  const folder = temporaryFolder(t);
  const tensors = [
    { name: "x", shape: [2, 3] },
    { name: "y", shape: [4] },
  ];
  const written: number[] = [];
  const files = planFiles(tensors, 24);
  await writeFiles(folder, files, each([1, 2, 3, 4, 5, 6], [7, 8, 9, 10]), (bytes) => written.push(bytes));
  assert.deepEqual(written, [24, 40]);
  const [first, second] = files.map(({ name }) => readSafetensors(path.join(folder, name)));
  assert.deepEqual(first, new Map([["x", { shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) }]]));
  assert.deepEqual(second, new Map([["y", { shape: [4], values: Float32Array.of(7, 8, 9, 10) }]]));
});

test("too few numbers, too many, and such that are none, are refused", async (t) => {
  const files = planFiles([{ name: "x", shape: [2] }], 100);
  const write = (...numbers: number[][]): Promise<void> =>
    writeFiles(temporaryFolder(t), files, each(...numbers), () => {});
  await assert.rejects(write([1]), RangeError);
  await assert.rejects(write([1, 2, 3]), RangeError);
  await assert.rejects(write(), RangeError);
  await assert.rejects(write([1, Number.NaN]), InvalidObjectError);
});
