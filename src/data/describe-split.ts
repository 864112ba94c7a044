import type { DuplicateCounts } from "./duplicates.ts";

/** What `create` says of copies, and of texts that are too long to be held out whole. */
export function describeSplit({ copies, nearCopies }: DuplicateCounts, cut: number, apart: number): string[] {
  const lines: string[] = [];
  if (copies > 0)
    lines.push(
      copies === 1
        ? "1 document is a copy of another one and counts once"
        : `${number(copies)} documents are copies of others and count once`,
    );
  if (nearCopies > 0)
    lines.push(
      nearCopies === 1
        ? `1 document is nearly a copy${apart > 0 ? "" : "; it is on the same side of the split as what it resembles"}`
        : `${number(nearCopies)} documents are nearly copies${apart > 0 ? "" : "; they are on the same side of the split as what they resemble"}`,
    );
  if (apart > 0)
    lines.push(
      "the corpus has too few texts that differ: " +
        `${apart === 1 ? "1 document is" : `${number(apart)} documents are`} held out though nearly a copy is trained on, so losses come out too low; add other texts`,
    );
  if (cut > 0)
    lines.push(
      "the corpus has too few texts to hold some out whole: " +
        `the end of ${cut === 1 ? "one" : `each of ${number(cut)}`} is held out instead`,
    );
  return lines;
}

const number = (value: number): string => value.toLocaleString("en");
