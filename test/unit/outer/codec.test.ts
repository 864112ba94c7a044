import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeTensors, encodeTensors, encodingResidual } from "../../../src/outer/codec.ts";
import { CODECS } from "../../../src/outer/codecs.ts";

const finite = fc.float32Array({ noNaN: true, noDefaultInfinity: true, maxLength: 700 });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const fromBits = (...bits: number[]): Float32Array => new Float32Array(Uint32Array.from(bits).buffer);
const bitsOf = (values: Float32Array): number[] => [...new Uint32Array(values.buffer)];
const invalid = (message: RegExp) => ({ name: "InvalidObjectError", message });

describe("tensor layouts", () => {
  it("f32 is little-endian binary32", () => {
    assert.equal(hex(encodeTensors(Float32Array.of(1, -2.5), "f32")), "0000803f000020c0");
  });

  it("bf16 is the upper half, little-endian, rounded to nearest with ties to even", () => {
    const values = fromBits(0x3f80_0000, 0x3f80_8000, 0x3f81_8000, 0x3f80_8001, 0x3f80_7fff, 0xbf80_8000);
    assert.equal(hex(encodeTensors(values, "bf16")), "803f803f823f813f803f80bf");
  });

  it("bf16 holds what is too large at its largest number and keeps the sign of zero", () => {
    const values = fromBits(0x7f7f_ffff, 0xff7f_ffff, 0x8000_0000);
    assert.equal(hex(encodeTensors(values, "bf16")), "7f7f7fff0080");
  });

  it("int8 is blocks of 256 with a scale each, ties to even", () => {
    // Scale 1: 2.5 and 3.5 lie between two bytes.
    assert.equal(hex(encodeTensors(Float32Array.of(127, 2.5, 3.5, -2.5, 0), "int8")), "0000803f7f0204fe00");
    const values = new Float32Array(257).fill(127);
    values[256] = -254;
    const bytes = encodeTensors(values, "int8");
    assert.equal(bytes.length, 257 + 8);
    assert.equal(hex(bytes.subarray(260)), "0000004081");
    assert.deepEqual(decodeTensors(bytes, "int8", 257), values);
  });

  it("int8 of the largest numbers decodes to finite numbers, and of the smallest to small ones", () => {
    const largest = Float32Array.of(3.4028234663852886e38, -3.4028234663852886e38);
    const decoded = decodeTensors(encodeTensors(largest, "int8"), "int8", 2);
    for (const [i, value] of decoded.entries()) assert.ok(Math.abs(value / largest[i]! - 1) < 1e-6);
    assert.deepEqual(encodeTensors(fromBits(1, 2), "int8"), new Uint8Array(6));
  });
});

describe("tensor codecs", () => {
  for (const codec of Object.keys(CODECS)) {
    it(`${codec}: no numbers are no bytes`, () => {
      assert.equal(encodeTensors(new Float32Array(), codec).length, 0);
      assert.equal(decodeTensors(new Uint8Array(), codec, 0).length, 0);
    });

    it(`${codec}: the length follows from the number of elements and any other is refused`, () => {
      fc.assert(
        fc.property(finite, fc.integer({ min: 1, max: 9 }), (values, excess) => {
          const bytes = encodeTensors(values, codec);
          assert.equal(bytes.length, CODECS[codec]!.bytes(values.length));
          const longer = Buffer.concat([bytes, Buffer.alloc(excess)]);
          assert.throws(() => decodeTensors(longer, codec, values.length), invalid(/but there are/));
          if (bytes.length > 0)
            assert.throws(() => decodeTensors(bytes.subarray(1), codec, values.length), invalid(/bytes/));
        }),
        { numRuns: 50 },
      );
    });

    it(`${codec}: reads from any offset and leaves its input alone`, () => {
      fc.assert(
        fc.property(finite, fc.nat(7), (values, offset) => {
          const before = bitsOf(values.slice());
          const bytes = encodeTensors(values, codec);
          const shifted = new Uint8Array(offset + bytes.length).subarray(offset);
          shifted.set(bytes);
          assert.deepEqual(
            decodeTensors(shifted, codec, values.length),
            decodeTensors(bytes, codec, values.length),
          );
          assert.deepEqual(bitsOf(values), before);
          assert.deepEqual(shifted, bytes);
        }),
        { numRuns: 50 },
      );
    });

    it(`${codec}: NaN and infinity are refused wherever they stand`, () => {
      fc.assert(
        fc.property(
          fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 700 }),
          fc.nat(),
          fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
          (values, at, bad) => {
            values[at % values.length] = bad;
            assert.throws(() => encodeTensors(values, codec), invalid(/NaN or infinite/));
          },
        ),
        { numRuns: 50 },
      );
    });

    it(`${codec}: what was decoded encodes to the same numbers again`, () => {
      fc.assert(
        fc.property(finite, (values) => {
          const once = decodeTensors(encodeTensors(values, codec), codec, values.length);
          const twice = decodeTensors(encodeTensors(once, codec), codec, values.length);
          // An int8 scale is found again to within its last place, so only the others are exact.
          if (codec === "int8")
            for (const [i, value] of twice.entries())
              assert.ok(Math.abs(value - once[i]!) <= 1e-6 * Math.abs(once[i]!) + 1e-40);
          else assert.deepEqual(bitsOf(twice), bitsOf(once));
        }),
      );
    });

    it(`${codec}: the residual is the rounding error`, () => {
      fc.assert(
        fc.property(fc.float32Array({ noNaN: true, min: -8, max: 8, maxLength: 700 }), (values) => {
          const encoded = encodeTensors(values, codec);
          const decoded = decodeTensors(encoded, codec, values.length);
          const residual = encodingResidual(values, encoded, codec);
          for (const [i, value] of values.entries())
            assert.equal(residual[i], Math.fround(value - decoded[i]!));
        }),
        { numRuns: 50 },
      );
    });
  }

  it("f32 is exact", () => {
    fc.assert(
      fc.property(finite, (values) => {
        const decoded = decodeTensors(encodeTensors(values, "f32"), "f32", values.length);
        assert.deepEqual(bitsOf(decoded), bitsOf(values.slice()));
      }),
    );
  });

  it("bf16 is the nearest of all bfloat16 numbers", () => {
    const half = (bits: number): number => fromBits(bits << 16)[0]!;
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const [decoded] = decodeTensors(encodeTensors(Float32Array.of(value), "bf16"), "bf16", 1);
        const [bits] = bitsOf(Float32Array.of(decoded!));
        const error = Math.abs(value - decoded!);
        for (const neighbour of [half((bits! >>> 16) - 1), half((bits! >>> 16) + 1)])
          if (Number.isFinite(neighbour)) assert.ok(error <= Math.abs(value - neighbour));
      }),
      { numRuns: 2000 },
    );
  });

  it("int8 errs by at most half a step of its block", () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -(2 ** 100), max: 2 ** 100 }), { maxLength: 700 }),
        (numbers) => {
          const values = Float32Array.from(numbers);
          const decoded = decodeTensors(encodeTensors(values, "int8"), "int8", values.length);
          for (let start = 0; start < values.length; start += 256) {
            const block = values.subarray(start, start + 256);
            const step = block.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0) / 127;
            for (const [i, value] of block.entries())
              assert.ok(Math.abs(value - decoded[start + i]!) <= step * (0.5 + 1e-4) + 1e-40);
          }
        },
      ),
    );
  });
});

describe("hostile tensors", () => {
  const cases: [string, string, "f32" | "bf16" | "int8", number, RegExp][] = [
    ["NaN in f32", "0000c07f", "f32", 1, /NaN or infinite/],
    ["infinity in f32", "0000803f000080ff", "f32", 2, /NaN or infinite/],
    ["NaN in bf16", "c17f", "bf16", 1, /NaN or infinite/],
    ["infinity in bf16", "803f80ff", "bf16", 2, /NaN or infinite/],
    ["an infinite scale", "0000807f01", "int8", 1, /NaN or infinite/],
    ["an infinite scale of zeros", "0000807f00", "int8", 1, /NaN or infinite/],
    ["a NaN scale", "0000c07f00", "int8", 1, /scale NaN/],
    ["a negative scale", "000080bf01", "int8", 1, /scale -1/],
    ["a scale that overflows", "ffff7f7f02", "int8", 1, /NaN or infinite/],
    ["the byte -128", "0000803f80", "int8", 1, /byte −128/],
    ["more elements than bytes", "0000803f", "f32", 2 ** 40, /bytes, but there are 4/],
  ];
  for (const [name, bytes, codec, elements, message] of cases)
    it(`refuses ${name}`, () => {
      assert.throws(() => decodeTensors(fromHex(bytes), codec, elements), invalid(message));
    });

  it("any bytes decode to finite numbers or are refused", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.constantFrom(...Object.keys(CODECS)),
        fc.nat(600),
        (bytes, codec, n) => {
          try {
            assert.ok(decodeTensors(bytes, codec, n).every((value) => Number.isFinite(value)));
          } catch (error) {
            assert.equal((error as Error).name, "InvalidObjectError");
          }
        },
      ),
    );
  });
});
