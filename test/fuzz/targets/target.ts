/** What a target is, and what several of them start from. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidObjectError, type PathweaveError } from "../../../src/errors.ts";
import { kindOf, type ObjectKind } from "../../../src/objects/object.ts";
import { createRandom } from "../../../src/random.ts";
import { mutateCbor, type Mutation } from "../mutate.ts";

export interface Target {
  name: string;
  corpus: readonly Uint8Array[];
  mutate: Mutation;
  /** What `decode` may throw. */
  throws: readonly (new (message: string) => PathweaveError)[];
  /** Share of all inputs, relative to the others; slow decoders have little. */
  weight: number;
  decode(bytes: Uint8Array): unknown;
}

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url));
export const read = (pattern: string): Uint8Array[] =>
  globSync(pattern, { cwd: PROJECT })
    .toSorted()
    .map((file) => readFileSync(join(PROJECT, file)));
export const bytesOf = (text: string): Uint8Array => Buffer.from(text);
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
export const floats = (count: number): Float32Array => {
  const random = createRandom("fuzz", count);
  return Float32Array.from({ length: count }, () => random.normal());
};
/** Bytes in hex, as `test/golden` has them: with the CID in a line before, or a name and a space. */
const golden = (pattern: string): Uint8Array[] =>
  read(pattern).flatMap((file) =>
    textOf(file).startsWith("pathweave/")
      ? textOf(file)
          .trim()
          .split("\n")
          .map((line) => Buffer.from(line.split(" ")[1]!, "hex"))
      : [Buffer.from(textOf(file).split("\n").slice(1).join(""), "hex")],
  );

const OBJECTS = golden("test/golden/objects/*.txt");
const MESSAGES = golden("test/golden/swarm/*.txt");
export const objectsOf = (kind: string): Uint8Array[] =>
  [...OBJECTS, ...MESSAGES].filter((bytes) => kindOf(bytes) === kind);

/** A decoder of one kind of object. */
export function objectTarget<T extends object>(kind: ObjectKind<T>, more: Uint8Array[] = []): Target {
  return {
    name: kind.kind.slice("pathweave/".length),
    corpus: [...objectsOf(kind.kind), ...more],
    mutate: mutateCbor,
    throws: [InvalidObjectError],
    weight: 10,
    decode: (bytes) => kind.decode(bytes),
  };
}

/** A decoder of one length refuses another; here any length may be right. */
export function attempt(decode: () => unknown, kind: new () => Error = InvalidObjectError): unknown {
  try {
    return decode();
  } catch (error) {
    if (error instanceof kind) return undefined;
    throw error;
  }
}
