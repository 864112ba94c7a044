/** Readers of files: each gets its bytes in a folder of this process. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEventLog } from "../../../src/audit/events.ts";
import { readRecords } from "../../../src/data/records.ts";

export const folder = mkdtempSync(join(tmpdir(), "pathweave-fuzz-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
/** A file that holds the bytes. */
export function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}

export async function readCorpus(name: string, bytes: Uint8Array): Promise<number> {
  let records = 0;
  for await (const record of readRecords({ path: fileOf(name, bytes), source: name }, {})) {
    records++;
    void record;
  }
  return records;
}

/** The log that a struck demo writes, as the auditor reads it. */
export async function readAudited(bytes: Uint8Array): Promise<number> {
  let events = 0;
  for await (const event of readEventLog(fileOf("events.ndjson", bytes))) events += event.at > 0 ? 1 : 0;
  return events;
}
