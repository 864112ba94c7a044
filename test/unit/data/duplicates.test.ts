import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeSplit } from "../../../src/data/describe-split.ts";
import { CorpusSurvey } from "../../../src/data/duplicates.ts";
import { bandsOf, emptySketch, mergeSketch, sketchText } from "../../../src/data/min-hash.ts";
import { NumberList } from "../../../src/data/number-list.ts";
import { CorpusError } from "../../../src/errors.ts";
import { createRandom } from "../../../src/random.ts";
import { readAll, temporaryFolder } from "./corpus.ts";

const random = createRandom("duplicates test");
const words = (count: number, alphabet = 36): string[] =>
  Array.from({ length: count }, () => random.integer(1 << 20).toString(alphabet));

async function surveyFolder(folder: string) {
  const { documents } = await readAll([folder]);
  const survey = new CorpusSurvey();
  const distinct: string[] = [];
  for await (const { source } of survey.distinct(documents)) distinct.push(source);
  return { documents, distinct, survey, surveyed: survey.finish() };
}

describe("duplicates", () => {
  it("count once, whatever their files are called", async (t) => {
    const essay = words(300).join(" ");
    const other = words(300).join(" ");
    const folder = temporaryFolder(t, {
      "a.txt": essay,
      "b/copy.md": essay,
      "c.jsonl": `${JSON.stringify({ text: other })}\n${JSON.stringify({ text: essay })}\n`,
    });
    const { documents, distinct, survey, surveyed } = await surveyFolder(folder);
    assert.equal(documents.length, 4);
    assert.deepEqual(distinct, ["a.txt", "c.jsonl#1"]);
    assert.equal(survey.copies, 2);
    assert.deepEqual(surveyed.counts, { copies: 2, nearCopies: 0 });
    const picked: string[] = [];
    for await (const { document } of surveyed.pick(documents)) picked.push(document.text);
    assert.deepEqual(new Set(picked), new Set([essay, other]));
    assert.equal(picked.length, 2);
  });

  it("are found when they are nearly equal: other line ends, case, a few words, in any script", async (t) => {
    const change = (text: string): string => `${text.slice(0, 2000)}\r\n CHANGED ${text.slice(2010)}`;
    const chinese = Array.from({ length: 3500 }, () =>
      String.fromCodePoint(0x4e00 + random.integer(2000)),
    ).join("");
    const english = words(700).join(" ");
    const short = "Call me Ishmael. Some years ago, never mind how long precisely";
    const folder = temporaryFolder(t, {
      "1.txt": english,
      "2.txt": change(english),
      "3.txt": chinese,
      "4.txt": change(chinese),
      "5.txt": short,
      "6.txt": `${short.toUpperCase()}!\n`,
      "7.txt": "...",
      "8.txt": "???",
      "9.txt": "Call me Ahab. Some days ago, never mind how wide",
    });
    const { surveyed } = await surveyFolder(folder);
    assert.deepEqual(surveyed.counts, { copies: 0, nearCopies: 3 });
    assert.deepEqual([...surveyed.clusters], [0, 0, 2, 2, 4, 4, 6, 7, 8]);
  });

  it("are found when a file is cut elsewhere than its copy", async (t) => {
    const lines = Array.from({ length: 1500 }, () => words(8).join(" "));
    const folder = temporaryFolder(t, {
      "book.txt": lines.join("\n"),
      "with preface.txt": [...Array.from({ length: 20 }, () => words(8).join(" ")), ...lines].join("\n"),
      "else.txt": Array.from({ length: 1500 }, () => words(8).join(" ")).join("\n"),
    });
    const { surveyed } = await surveyFolder(folder);
    assert.deepEqual([...surveyed.groups], [0, 1, 0]);
  });

  it("are not seen where texts are merely alike in kind", async (t) => {
    const vocabulary = words(300);
    const files = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [
        `${i}.txt`,
        Array.from({ length: 500 }, () => vocabulary[random.integer(300)]).join(" "),
      ]),
    );
    const { surveyed } = await surveyFolder(temporaryFolder(t, files));
    assert.deepEqual(surveyed.counts, { copies: 0, nearCopies: 0 });
  });

  it("agree with Jaccard's likeness", () => {
    // Of two sets of shingles that share a part, the bins of their sketches that agree.
    for (const likeness of [0.5, 0.8, 0.95]) {
      let agree = 0;
      for (let trial = 0; trial < 40; trial++) {
        const common = words(2000).join(" ");
        const own = (): string => words(Math.round((2000 * (1 - likeness)) / (2 * likeness))).join(" ");
        const [a, b] = [emptySketch(), emptySketch()];
        sketchText(a, `${common} ${own()}`);
        sketchText(b, `${common} ${own()}`);
        agree += a.filter((value, bin) => value === b[bin]).length / a.length / 40;
      }
      assert.ok(Math.abs(agree - likeness) < 0.03, `${agree} for ${likeness}`);
    }
  });

  it("have sketches that merge to the sketch of all, and none without letters", () => {
    const [a, b] = [words(100).join(" "), words(100).join(" ")];
    const [both, first, second] = [emptySketch(), emptySketch(), emptySketch()];
    sketchText(both, a);
    sketchText(both, b);
    sketchText(first, a);
    sketchText(second, b);
    mergeSketch(first, second);
    assert.deepEqual(first, both);
    sketchText(second, "");
    assert.equal(bandsOf(emptySketch()), undefined);
    const nothing = emptySketch();
    sketchText(nothing, "… – !? 。");
    assert.equal(bandsOf(nothing), undefined);
  });

  it("refuse a corpus that changes between two readings", async (t) => {
    const files = { "a.txt": "one text", "b.txt": "another text", "c.txt": "a third" };
    const { documents, surveyed } = await surveyFolder(temporaryFolder(t, files));
    const read = async (again: typeof documents): Promise<void> => {
      for await (const _ of surveyed.pick(again));
    };
    await read(documents);
    const isChange = (error: Error): boolean =>
      error instanceof CorpusError && /changed while/.test(error.message);
    await assert.rejects(read(documents.slice(0, 2)), isChange);
    await assert.rejects(read([...documents, documents[0]!]), isChange);
    await assert.rejects(read([documents[1]!, documents[0]!, documents[2]!]), isChange);
  });

  it("take little memory: many short texts, numbered beyond a chunk", () => {
    const survey = new CorpusSurvey();
    const at = (i: number) => {
      const id = ((i * 0x9e3779b1) >>> 0).toString(16).padStart(8, "0").repeat(4);
      return { id, source: `${i}`, origin: `${i}`, text: `${id.slice(0, 8)} ${i}` };
    };
    for (let i = 0; i < 20_000; i++) assert.equal(survey.add(at(i)), true);
    for (let i = 0; i < 20_000; i += 7) assert.equal(survey.add(at(i)), false);
    assert.equal(survey.documents, 20_000 + Math.ceil(20_000 / 7));
    assert.equal(survey.copies, Math.ceil(20_000 / 7));
    const list = new NumberList();
    for (let i = 0; i < 40_000; i++) list.push(4_000_000_000 + i);
    assert.equal(list.at(39_999), 4_000_039_999);
    assert.equal(list.length, 40_000);
  });

  it("are told in plain words", () => {
    assert.deepEqual(describeSplit({ copies: 0, nearCopies: 0 }, 0, 0), []);
    assert.deepEqual(describeSplit({ copies: 1204, nearCopies: 310 }, 0, 0), [
      "1,204 documents are copies of others and count once",
      "310 documents are nearly copies; they are on the same side of the split as what they resemble",
    ]);
    const apart = describeSplit({ copies: 0, nearCopies: 99 }, 0, 7).join("\n");
    assert.match(apart, /^99 .*nearly copies\n.*7 documents are held out though nearly a copy is trained on/);
    assert.match(
      describeSplit({ copies: 1, nearCopies: 1 }, 1, 0).join("\n"),
      /1 document is a copy.*\n1 document is nearly.*\n.*the end of one is held out instead/,
    );
  });
});
