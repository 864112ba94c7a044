/**
 * What peers were charged with, on disk: one JSON object a line, appended. A file that is full becomes the old one, so
 * a flood of offences costs at most two full files.
 */
import { appendFile, rename, stat } from "node:fs/promises";
import type { Clock } from "../../clock.ts";

const MAX_FILE_BYTES = 4 << 20;
/** Of the offending bytes, so that one line stays readable; the CID identifies the rest. */
const MAX_OBJECT_BYTES = 64 << 10;

export interface Evidence {
  peer: string;
  offence: string;
  reason: string;
  /** Of the offending object. */
  cid?: string;
  /** The offending object or message. */
  bytes?: Uint8Array;
}

export interface EvidenceLog {
  /** Appends a line with the time. Rejects when the disk refuses. */
  append(evidence: Evidence): Promise<void>;
}

/** @param maxBytes size at which `path` is renamed to `path`.old */
export function createEvidenceLog(
  path: string,
  clock: Clock,
  maxBytes: number = MAX_FILE_BYTES,
): EvidenceLog {
  let writing: Promise<void> = Promise.resolve();
  let size: number | undefined;

  async function write(line: string): Promise<void> {
    size ??= await stat(path).then(
      (file) => file.size,
      () => 0,
    );
    if (size > 0 && size + line.length > maxBytes) {
      await rename(path, `${path}.old`);
      size = 0;
    }
    await appendFile(path, line, { mode: 0o600 });
    size += line.length;
  }

  return {
    append({ bytes, ...rest }) {
      const object =
        bytes === undefined
          ? {}
          : { bytes: Buffer.from(bytes.subarray(0, MAX_OBJECT_BYTES)).toString("base64") };
      const line = `${JSON.stringify({ time: new Date(clock.wall()).toISOString(), ...rest, ...object })}\n`;
      writing = writing.catch(() => {}).then(() => write(line));
      return writing;
    },
  };
}
