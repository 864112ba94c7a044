import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { CorpusSurvey, type SurveyedCorpus } from "../../../src/data/duplicates.ts";
import { splitHoldouts } from "../../../src/data/holdouts.ts";
import { splitCorpus } from "../../../src/data/split.ts";
import type { Split, TextDocument } from "../../../src/data/types.ts";
import { createRandom } from "../../../src/random.ts";

const FRACTIONS = { validationFraction: 0.05, routerFraction: 0.02 };

/** Text of so many words that is like no other with another seed. */
function text(seed: string, words: number): string {
  const random = createRandom("text", seed);
  return Array.from({ length: words }, () => random.integer(1 << 20).toString(36)).join(" ");
}

/** Files by name, each with its parts, as documents in the order in which they would be read. */
function corpusOf(files: Record<string, string[]>): TextDocument[] {
  return Object.keys(files)
    .toSorted()
    .flatMap((origin) =>
      files[origin]!.map((part, index) => ({
        id: hash("sha256", part).slice(0, 32),
        source: `${origin}#${index}`,
        origin,
        text: part,
      })),
    );
}

function survey(documents: TextDocument[]): SurveyedCorpus {
  const found = new CorpusSurvey();
  for (const document of documents) found.add(document);
  return found.finish();
}

/** Where each text goes, and the share of the characters on each side. */
async function split(documents: TextDocument[], seed = 0, fractions = FRACTIONS) {
  const surveyed = survey(documents);
  const { splitOf, cut, apart } = splitCorpus(surveyed, seed, fractions);
  const sides = new Map<string, Split>();
  const shares = { train: 0, validation: 0, router: 0 };
  const total = surveyed.sizes.reduce((sum, size) => sum + size, 0);
  for await (const { index, document } of surveyed.pick(documents)) {
    assert.ok(!sides.has(document.text), "a text counts once");
    sides.set(document.text, splitOf(index));
    shares[splitOf(index)] += document.text.length / total;
  }
  return { sides, shares, cut, apart, surveyed };
}

const files = (count: number, parts: (index: number) => number, words = 60): Record<string, string[]> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, file) => [
      `file ${file}`,
      Array.from({ length: parts(file) }, (_, part) => text(`${file}/${part}`, words)),
    ]),
  );

describe("splitting the corpus", () => {
  for (const [name, corpus] of Object.entries({
    "one long text": files(1, () => 200),
    "five texts": files(5, () => 60),
    "five very unequal texts": files(5, (file) => 4 ** (5 - file)),
    "one text of a third among many": files(200, (file) => (file === 77 ? 100 : 1)),
    "a hundred texts": files(100, (file) => 1 + (file % 5)),
    "thousands of records": files(4000, () => 1, 30),
  }))
    it(`keeps the fractions of ${name}`, async () => {
      for (const seed of [0, 1]) {
        const { shares } = await split(corpusOf(corpus), seed);
        assert.ok(shares.validation > 0.025 && shares.validation < 0.065, `${shares.validation}`);
        assert.ok(shares.router > 0.01 && shares.router < 0.03, `${shares.router}`);
      }
    });

  it("keeps a text on one side where there are enough", async () => {
    const corpus = files(100, (file) => 1 + (file % 5));
    const { sides, cut } = await split(corpusOf(corpus));
    for (const parts of Object.values(corpus))
      assert.equal(new Set(parts.map((part) => sides.get(part))).size, 1);
    assert.equal(cut, 0);
  });

  it("holds out one stretch at the end of a single text, and of each of few texts", async () => {
    for (const count of [1, 3]) {
      const corpus = files(count, () => 100);
      const { sides, cut } = await split(corpusOf(corpus));
      assert.equal(cut, count);
      for (const parts of Object.values(corpus)) {
        const runs = parts.map((part) => sides.get(part)!).filter((side, at, all) => side !== all[at - 1]);
        assert.deepEqual(runs, ["train", "router", "validation"]);
      }
    }
  });

  it("holds out a document of the smallest corpora", async () => {
    const { sides } = await split(corpusOf({ "a.txt": [text("a", 50), text("b", 50), text("c", 40)] }));
    assert.deepEqual([...sides.values()].toSorted(), ["router", "train", "validation"]);
  });

  it("does not depend on names or order, also where texts share documents", async () => {
    const shared = Array.from({ length: 6 }, (_, i) => text(`shared ${i}`, 50));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
        fc.nat(5),
        async (names, seed) => {
          const parts = Object.values(files(30, (file) => 1 + (file % 4)));
          for (const [index, licence] of shared.entries()) {
            parts[index]!.push(licence);
            parts[29 - 2 * index]!.push(licence);
          }
          const named = (nameOf: (index: number) => string): TextDocument[] =>
            corpusOf(Object.fromEntries(parts.map((own, index) => [nameOf(index), own])));
          const before = await split(
            named((index) => `file ${index}`),
            seed,
          );
          const after = await split(
            named((index) => `${names[index]} ${index}`),
            seed,
          );
          for (const [part, side] of before.sides) assert.equal(after.sides.get(part), side);
        },
      ),
      { numRuns: 20 },
    );
  });

  it("depends on the seed", async () => {
    const corpus = corpusOf(files(200, () => 1));
    const held = async (seed: number) => [...(await split(corpus, seed)).sides.values()].join();
    assert.notEqual(await held(1), await held(2));
    assert.equal(await held(1), await held(1));
  });

  it("is pinned, so that a run can be made again from its corpus", async () => {
    const { sides } = await split(corpusOf(files(100, () => 1)));
    const at = (side: Split): number[] => [...sides.values()].flatMap((own, i) => (own === side ? [i] : []));
    assert.deepEqual({ validation: at("validation"), router: at("router") }, PINNED);
  });

  it("keeps near-equal texts on one side, whole files and parts of them", async () => {
    const corpus = files(60, () => 2, 400);
    const edited = (part: string): string => `${part.toUpperCase().replace(" ", ",\r\n")}!`;
    for (let file = 0; file < 60; file += 2) corpus[`copy of ${file}`] = corpus[`file ${file}`]!.map(edited);
    // A part of one text that is nearly a part of another one.
    corpus["file 1"]!.push(text("quoted", 400));
    corpus["file 3"]!.push(edited(text("quoted", 400)));
    for (const seed of [0, 1, 2, 3]) {
      const { sides, surveyed } = await split(corpusOf(corpus), seed);
      for (const part of Object.values(corpus).flat())
        if (sides.has(edited(part))) assert.equal(sides.get(edited(part)), sides.get(part));
      assert.equal(surveyed.counts.nearCopies, 61);
    }
  });

  it("holds out something of a corpus in which all is near-equal", async () => {
    const page = text("page", 400);
    const corpus = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`page ${i}`, [`${page} ${i}`]]));
    const { shares } = await split(corpusOf(corpus));
    assert.ok(shares.validation > 0.025 && shares.validation < 0.065, `${shares.validation}`);
  });

  it("holds out another text where one is nearly a part of a book, and says where there is none", async () => {
    const book = Array.from({ length: 20 }, (_, part) => text(`book ${part}`, 500));
    const others = Object.fromEntries(
      ["essay", "letters", "notes"].map((name) => [
        name,
        Array.from({ length: 5 }, (_, part) => text(`${name} ${part}`, 500)),
      ]),
    );
    const corpus = { book, chapter: [`${book[7]} the end`], ...others };
    for (const seed of [0, 1, 2, 3]) {
      const { sides, apart } = await split(corpusOf(corpus), seed, {
        validationFraction: 0.05,
        routerFraction: 0.05,
      });
      assert.equal(apart, 0);
      assert.equal(sides.get(corpus.chapter[0]!), sides.get(book[7]!));
      assert.deepEqual(new Set(sides.values()), new Set(["train", "validation", "router"]));
    }
    const page = text("page", 400);
    const same = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`page ${i}`, [`${page} ${i}`]]));
    const { apart, sides } = await split(corpusOf(same));
    assert.equal(apart, [...sides.values()].filter((side) => side !== "train").length);
    assert.ok(apart > 0);
  });

  it("counts as cut only texts of which a part is trained on", async () => {
    // Each text is one document and too long for the shares, so that it is held out whole or not at all.
    const { cut, sides } = await split(corpusOf(files(12, () => 1)));
    assert.ok([...sides.values()].some((side) => side !== "train"));
    assert.equal(cut, 0);
  });

  describe("holding out a part of each path", () => {
    const shareOut = (surveyed: SurveyedCorpus, paths: number): number[][] => {
      const random = createRandom("paths");
      const own: number[][] = Array.from({ length: paths }, () => []);
      for (const index of surveyed.sizes.keys()) own[random.integer(paths)]!.push(index);
      return own;
    };

    it("keeps near-copies and parts of one text on one side, whatever the path", () => {
      const books = files(60, (file) => 2 + (file % 30), 200);
      const pairs = Object.fromEntries(
        Array.from({ length: 400 }, (_, i) => {
          const own = text(`pair ${i >> 1}`, 300);
          return [`pair ${i}`, [i % 2 === 0 ? own : `${own} ending`]];
        }),
      );
      for (const corpus of [books, pairs, { ...books, ...pairs }]) {
        const surveyed = survey(corpusOf(corpus));
        const paths = shareOut(surveyed, 3);
        const held = splitHoldouts(surveyed, paths, 7, 0.05);
        const trained = [...surveyed.sizes.keys()].filter((index) => !held.has(index));
        const clusters = new Set(trained.map((index) => surveyed.clusters[index]));
        const origins = new Set(trained.map((index) => surveyed.origins[index]));
        for (const index of held) {
          assert.ok(!clusters.has(surveyed.clusters[index]));
          assert.ok(!origins.has(surveyed.origins[index]));
        }
        for (const own of paths) assert.ok(own.some((index) => held.has(index)));
      }
    });

    it("holds out about the fraction, and leaves every path most of its text", () => {
      for (const corpus of [files(1, () => 300), files(300, () => 1), files(4, () => 60)]) {
        const surveyed = survey(corpusOf(corpus));
        // The last path has the end of the corpus, and one path has a single document.
        const all = [...surveyed.sizes.keys()];
        const paths = [all.slice(0, 150), all.slice(150, -16), all.slice(-16, -15), all.slice(-15), []];
        const held = splitHoldouts(surveyed, paths, 7, 0.1);
        assert.ok(held.size >= all.length * 0.03 && held.size <= all.length * 0.15, `${held.size}`);
        for (const own of paths) {
          const out = own.filter((index) => held.has(index)).length;
          assert.ok(out <= own.length / 2, `${out} of ${own.length}`);
          assert.equal(out > 0, own.length > 1);
        }
      }
    });
  });
});

const PINNED = { validation: [18, 51, 61, 95, 99], router: [12, 75] };
