/** The file in which `create` lists what it skipped. */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Skipped } from "../src/data/types.ts";

const BUFFER_CHARACTERS = 1 << 16;

export interface SkippedFile extends Disposable {
  readonly path: string;
  /** Appends a line of JSON. The file is made with the first one. */
  add(skipped: Skipped): void;
}

/** Opens the list in a data folder, `skipped.jsonl`. Dispose of it to have all of it on the disk. */
export function openSkippedFile(folder: string): SkippedFile {
  const path = join(folder, "skipped.jsonl");
  let file: number | undefined;
  let pending = "";
  const flush = (): void => {
    if (pending === "") return;
    file ??= openSync(path, "w", 0o600);
    writeSync(file, pending);
    pending = "";
  };
  return {
    path,
    add(skipped) {
      pending += `${JSON.stringify(skipped)}\n`;
      if (pending.length > BUFFER_CHARACTERS) flush();
    },
    [Symbol.dispose]() {
      flush();
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}
