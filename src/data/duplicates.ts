/** Finds the documents of a corpus that are equal, and those that are nearly so, in one pass and in little memory. */
import { CorpusError } from "../errors.ts";
import { BANDS, bandsOf, emptySketch, mergeSketch, sketchText } from "./min-hash.ts";
import { type BandTable, nearCopies } from "./near-copies.ts";
import { NumberList } from "./number-list.ts";
import type { SplitDocuments } from "./split.ts";
import { TextSet } from "./text-set.ts";
import type { TextDocument } from "./types.ts";

/** How much of a corpus is there more than once. */
export interface DuplicateCounts {
  /** Documents with the same text as another; each text counts once. */
  copies: number;
  /** Documents that are near-equal to another one, or parts of a text that is; they stay, all on one side of the split. */
  nearCopies: number;
}

/** A corpus whose documents were all seen. Its documents are the distinct texts, in the order of the corpus. */
export interface SurveyedCorpus extends SplitDocuments {
  readonly counts: DuplicateCounts;
  /**
   * Picks the documents that count from the corpus, read once more, with their index. Throws CorpusError when it is no longer
   * the same.
   */
  pick(
    documents: AsyncIterable<TextDocument> | Iterable<TextDocument>,
  ): AsyncGenerator<{ index: number; document: TextDocument }>;
}

/**
 * Watches documents as they stream by. The parts of one text must follow each other. Takes about 110 bytes a document,
 * whatever its length, 70 a text of several documents, and 20 more a document while it finishes.
 */
export class CorpusSurvey {
  /** By document, copies included: the number of its text, and of the origin that it was cut from. */
  readonly #texts = new NumberList();
  readonly #origins = new NumberList();
  /** By distinct text. */
  readonly #distinct = new TextSet();
  readonly #sizes = new NumberList();
  readonly #textBands = new Bands();
  /** By origin: the sum of the hashes of its texts, 2 × 32 bits, which no order and no name changes. */
  readonly #originKeys = new NumberList();
  readonly #originBands: OriginBands = new OriginBands(this.#textBands);
  #open: { name: string; high: number; low: number; sketch: Uint32Array; only: number } | undefined;

  /** Documents so far. */
  get documents(): number {
    return this.#texts.length;
  }

  /** Documents so far whose text was there before. */
  get copies(): number {
    return this.#texts.length - this.#distinct.size;
  }

  /** Returns whether the text is new. */
  add({ id, origin, text }: TextDocument): boolean {
    const [high, low] = hashOf(id);
    const before = this.#distinct.size;
    const number = this.#distinct.add(high, low);
    const sketch = emptySketch();
    sketchText(sketch, text);
    if (number === before) {
      this.#sizes.push(text.length);
      this.#textBands.push(sketch);
    }

    if (this.#open?.name === origin) {
      mergeSketch(this.#open.sketch, sketch);
      this.#open.high = (this.#open.high + high) >>> 0;
      this.#open.low = (this.#open.low + low) >>> 0;
      this.#open.only = -1;
    } else {
      this.#close();
      this.#open = { name: origin, high, low, sketch, only: number };
    }
    this.#texts.push(number);
    this.#origins.push(this.#originBands.length);
    return number === before;
  }

  /** Passes on each text once. `onDocument` receives how many were seen, copies included. */
  async *distinct(
    documents: AsyncIterable<TextDocument> | Iterable<TextDocument>,
    onDocument?: (seen: number) => void,
  ): AsyncGenerator<TextDocument, void, undefined> {
    for await (const document of documents) {
      onDocument?.(this.documents + 1);
      if (this.add(document)) yield document;
    }
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { high, low, sketch, only } = this.#open;
    this.#originKeys.push(high);
    this.#originKeys.push(low);
    this.#originBands.push(only, sketch);
    this.#open = undefined;
  }

  /** What was found. Nothing can be added afterwards. */
  finish(): SurveyedCorpus {
    this.#close();
    const places = this.#placesOfTexts();
    const similarOrigin = nearCopies(this.#originBands);
    const similarText = nearCopies(this.#textBands);
    const sizes = new Uint32Array(places.length);
    const origins = new Uint32Array(places.length);
    const clusters = new Uint32Array(places.length);
    let near = 0;
    for (const [index, place] of places.entries()) {
      const text = this.#texts.at(place);
      const origin = this.#origins.at(place);
      sizes[index] = this.#sizes.at(text);
      origins[index] = origin;
      clusters[index] = similarText[text]!;
      if (similarText[text] !== text || similarOrigin[origin] !== origin) near++;
    }
    return {
      counts: { copies: this.copies, nearCopies: near },
      sizes,
      origins,
      clusters,
      groups: similarOrigin,
      key: (origin) =>
        this.#originKeys.at(2 * origin) * 2 ** 21 + (this.#originKeys.at(2 * origin + 1) >>> 11),
      pick: (documents) => this.#pick(documents, places),
    };
  }

  /**
   * For each distinct text the document that stands for it, in the order of the corpus. Of several origins, that with the lowest
   * key has it, so that names do not matter.
   */
  #placesOfTexts(): Uint32Array {
    const keys = this.#originKeys;
    const isBefore = (a: number, b: number): boolean =>
      keys.at(2 * a) === keys.at(2 * b)
        ? keys.at(2 * a + 1) < keys.at(2 * b + 1)
        : keys.at(2 * a) < keys.at(2 * b);
    const none = 0xffffffff;
    const places = new Uint32Array(this.#distinct.size).fill(none);
    for (let document = 0; document < this.documents; document++) {
      const text = this.#texts.at(document);
      const held = places[text]!;
      if (held === none || isBefore(this.#origins.at(document), this.#origins.at(held)))
        places[text] = document;
    }
    return places.toSorted();
  }

  async *#pick(
    documents: AsyncIterable<TextDocument> | Iterable<TextDocument>,
    places: Uint32Array,
  ): AsyncGenerator<{ index: number; document: TextDocument }> {
    let place = 0;
    let index = 0;
    const changed = (what: string): CorpusError =>
      new CorpusError(
        `The corpus changed while it was read: ${what}. Wait until nothing writes to it, and start again.`,
      );
    for await (const document of documents) {
      if (place === this.documents) throw changed(`${document.source} is new`);
      if (!this.#distinct.is(this.#texts.at(place), ...hashOf(document.id)))
        throw changed(`${document.source} is another text than before`);
      if (places[index] === place) yield { index: index++, document };
      place++;
    }
    if (place < this.documents) throw changed(`${this.documents - place} documents are gone`);
  }
}

/** 64 bits of the id, which is the hash of the text. */
function hashOf(id: string): [high: number, low: number] {
  return [Number.parseInt(id.slice(0, 8), 16), Number.parseInt(id.slice(8, 16), 16)];
}

/** The bands of many sketches, one after another; 0 stands for no sketch. */
class Bands implements BandTable {
  readonly #hashes = new NumberList();

  get length(): number {
    return this.#hashes.length / BANDS;
  }

  push(sketch: Uint32Array): void {
    const bands = bandsOf(sketch);
    for (let band = 0; band < BANDS; band++) this.#hashes.push(bands?.[band] ?? 0);
  }

  band(item: number, band: number): number {
    return this.#hashes.at(item * BANDS + band);
  }
}

/** The bands of origins. An origin of a single document has the bands of its text; most are so where there are many. */
class OriginBands implements BandTable {
  readonly #texts: Bands;
  readonly #own = new Bands();
  /** 2 × the number of a text, or 2 × the place in `own` + 1. */
  readonly #items = new NumberList();

  constructor(texts: Bands) {
    this.#texts = texts;
  }

  get length(): number {
    return this.#items.length;
  }

  /** @param only the number of the only text, or -1 */
  push(only: number, sketch: Uint32Array): void {
    this.#items.push(only === -1 ? 2 * this.#own.length + 1 : 2 * only);
    if (only === -1) this.#own.push(sketch);
  }

  band(item: number, band: number): number {
    const at = this.#items.at(item);
    return (at % 2 === 0 ? this.#texts : this.#own).band(Math.floor(at / 2), band);
  }
}
