/** A temporary folder of corpus files for tests. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { type ReadOptions, readDocuments } from "../../../src/data/documents.ts";
import type { Skipped, TextDocument } from "../../../src/data/types.ts";

export function temporaryFolder(t: TestContext, files: Record<string, string | Uint8Array> = {}): string {
  const folder = mkdtempSync(path.join(tmpdir(), "pathweave-corpus-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

/** Reads everything: the documents, and what was skipped. */
export async function readAll(
  patterns: string[],
  options: Omit<ReadOptions, "onSkip"> = {},
): Promise<{ documents: TextDocument[]; skipped: Skipped[] }> {
  const skipped: Skipped[] = [];
  const documents: TextDocument[] = [];
  for await (const document of readDocuments(patterns, { ...options, onSkip: (item) => skipped.push(item) }))
    documents.push(document);
  return { documents, skipped };
}
