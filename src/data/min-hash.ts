/**
 * MinHash (Broder 1997): a sketch of a text from which its likeness to others can be told without them. The likeness
 * is Jaccard's, over all runs of `SHINGLE` letters and digits, so it is the same idea for every script.
 *
 * One permutation with rotation (Li, Owen, Zhang 2012; Shrivastava, Li 2014) costs one hash a shingle instead of 128.
 */

/** Letters and digits of a shingle: about four words of English. */
const SHINGLE = 20;
const BINS = 128;
/** Two texts are near-equal when one of the bands of their sketches is equal. */
export const BANDS = 16;
/** With 16 bands of 8 a likeness of 0.9 is found in all but one of 10,000 cases, 0.8 in 95 %, 0.7 in 61 %, 0.5 in 6 %. */
const ROWS = BINS / BANDS;
const EMPTY = 0xffffffff;
const BASE = 0x01000193;
/** BASE to the power of SHINGLE: what the letter that leaves a rolling window weighs. */
const LEAVING = Array.from({ length: SHINGLE }).reduce<number>((power) => Math.imul(power, BASE), 1);

/** A sketch. That of several texts together is the lower of each bin. */
export type Sketch = Uint32Array;

export function emptySketch(): Sketch {
  return new Uint32Array(BINS).fill(EMPTY);
}

let letters = new Uint16Array(1 << 14);

/** Takes the text into the sketch. White space, punctuation and upper case make no difference. */
export function sketchText(sketch: Sketch, text: string): void {
  const count = keepLetters(text.toLowerCase());
  let hash = 0;
  for (let i = 0; i < count; i++) {
    hash = (Math.imul(hash, BASE) + letters[i]! + 1) | 0;
    if (i >= SHINGLE) hash = (hash - Math.imul(LEAVING, letters[i - SHINGLE]! + 1)) | 0;
    else if (i < SHINGLE - 1 && i < count - 1) continue;
    const bin = mix(hash) >>> 25;
    const value = mix(hash ^ 0x5bd1e995);
    if (value < sketch[bin]!) sketch[bin] = value;
  }
}

export function mergeSketch(sketch: Sketch, other: Sketch): void {
  for (let bin = 0; bin < BINS; bin++) if (other[bin]! < sketch[bin]!) sketch[bin] = other[bin]!;
}

/** The bands of a sketch as hashes, (BANDS); undefined for a text without letters and digits, which is like no other. */
export function bandsOf(sketch: Sketch): Uint32Array | undefined {
  let source = sketch.findIndex((value) => value !== EMPTY);
  if (source === -1) return undefined;
  const full = new Uint32Array(BINS);
  // An empty bin borrows from the next full one, and how far that is counts: else two short texts are too much alike.
  let distance = 0;
  for (let step = BINS; step > 0; step--) {
    const bin = (source + step) % BINS;
    distance = sketch[bin] === EMPTY ? distance + 1 : 0;
    full[bin] = sketch[(bin + distance) % BINS]! + Math.imul(distance, 0x9e3779b1);
  }
  const bands = new Uint32Array(BANDS);
  for (let band = 0; band < BANDS; band++) {
    let hash = band + 1;
    for (let row = 0; row < ROWS; row++) hash = mix(hash ^ full[band * ROWS + row]!);
    bands[band] = hash;
  }
  return bands;
}

/** MurmurHash3's finalizer: every bit of the result depends on every bit of the input. Unsigned. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function keepLetters(text: string): number {
  if (letters.length < text.length) letters = new Uint16Array(text.length);
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 128 ? ASCII[unit] === 1 : isLetter(unit)) letters[count++] = unit;
  }
  return count;
}

const ASCII = Uint8Array.from({ length: 128 }, (_, unit) =>
  /[0-9a-z]/.test(String.fromCharCode(unit)) ? 1 : 0,
);

/** By the blocks that hold nothing but punctuation and spaces, since testing a property of every character is slow. */
function isLetter(unit: number): boolean {
  return !(
    unit <= 0xbf ||
    (unit >= 0x2000 && unit <= 0x206f) ||
    (unit >= 0x3000 && unit <= 0x303f) ||
    (unit >= 0xfe00 && unit <= 0xfe0f) ||
    unit === 0xfeff ||
    (unit >= 0xff01 && unit <= 0xff0f)
  );
}
