/** The file in which `create` lists what it skipped. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Skipped } from "../src/data/types.ts";

const BUFFER_CHARACTERS = 1 << 16;

export interface SkippedFile {
  readonly path: string;
  /** Appends a line of JSON. The file is made with the first one. */
  add(skipped: Skipped): void;
  /** Writes the rest, which is still in memory. */
  flush(): void;
}

/** The list in a data folder: `skipped.jsonl`. */
export function openSkippedFile(folder: string): SkippedFile {
  const path = join(folder, "skipped.jsonl");
  let isNew = true;
  let pending = "";
  const flush = (): void => {
    if (pending === "") return;
    writeFileSync(path, pending, { flag: isNew ? "w" : "a", mode: 0o600 });
    isNew = false;
    pending = "";
  };
  return {
    path,
    add(skipped) {
      pending += `${JSON.stringify(skipped)}\n`;
      if (pending.length > BUFFER_CHARACTERS) flush();
    },
    flush,
  };
}
