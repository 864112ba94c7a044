/** How far the making of a run is, for `create`, `tune` and `demo`. */
import type { CreateProgress } from "../src/create/prepare.ts";
import { counted, formatBar, formatCount, formatNumber } from "./output.ts";

/** One line. */
export function describeCreateProgress(progress: CreateProgress): string {
  switch (progress.stage) {
    case "tokenizer":
      return "training the tokenizer";
    case "surveying":
      return progress.done === 0
        ? "reading the corpus"
        : `reading: ${counted(progress.done, "document", formatCount)}`;
    case "compiling":
      return "compiling the training step";
    case "fitting":
      return `fitting the router to ${counted(progress.done, "document")}`;
    case "reading":
      return `reading and tokenizing: ${counted(progress.done, "document", formatCount)}`;
    case "seed":
      return `warm start ${formatBar(progress.done, progress.total)} step ${progress.done}/${progress.total} loss ${formatNumber(progress.step.loss)}`;
    case "routing":
      return `routing documents ${formatBar(progress.done, progress.total ?? progress.done)}`;
    case "writing":
      return `writing shards ${formatBar(progress.done, progress.total ?? progress.done)}`;
  }
}
