/**
 * The folder of an export. A checkpoint is written elsewhere and moved to its place when it is whole: a new folder in
 * one step, into a folder that is there file by file.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, realpath, rename, rm, rmdir, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CapacityError, UsageError } from "../errors.ts";
import { formatBytes } from "../run/format.ts";
import { hasCode, storageError } from "../store/storage-error.ts";

const UNFINISHED = ".unfinished";
/** What an export that was killed has left. */
const LEFT = /^\..*\.unfinished(\.old)?$/;
export const CONFIG = "config.json";
/** What a checkpoint consists of. Nothing else is ever replaced. */
const OWN_FILE =
  /^(model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|(generation_)?config\.json|tokenizer(_config)?\.json|README\.md)$/;
const OWN_FOLDER = /^path-\d+$/;

/** Where an export into `out` is written until it is whole. */
export function unfinishedFolder(out: string, isThere: boolean): string {
  // A folder that is there may be a disk of its own.
  return join(isThere ? out : dirname(out), `.${basename(out)}.${randomUUID()}${UNFINISHED}`);
}

/** Throws UsageError unless the folder is absent, empty, or an export that may be replaced. */
export async function requireFree(out: string, force: boolean): Promise<void> {
  const entries = (await entriesOf(out)).filter(({ name }) => !LEFT.test(name));
  if (entries.length === 0) return;
  if (!force)
    throw new UsageError(
      `${out} is not empty. Choose another --out, or give --force to replace the export in it.`,
    );
  const other = await findOther(out, entries);
  if (other !== undefined)
    throw new UsageError(
      `${out} holds ${other}, which is no part of an export, so --force does not replace it. Choose another --out.`,
    );
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    if (hasCode(error, "ENOTDIR"))
      throw new UsageError(`${folder} is a file. Choose a folder that does not exist yet with --out.`);
    throw storageError(error, folder);
  }
}

/** The name of something that an export does not write. */
async function findOther(
  folder: string,
  entries: Awaited<ReturnType<typeof entriesOf>>,
): Promise<string | undefined> {
  if (!entries.some(({ name }) => name === CONFIG || OWN_FOLDER.test(name))) return entries[0]!.name;
  for (const entry of entries) {
    if (entry.isFile() && OWN_FILE.test(entry.name)) continue;
    if (!entry.isDirectory() || !OWN_FOLDER.test(entry.name)) return entry.name;
    for (const inner of await entriesOf(join(folder, entry.name)))
      if (!inner.isFile() || !OWN_FILE.test(inner.name)) return join(entry.name, inner.name);
  }
  return undefined;
}

/** Throws CapacityError unless the disk of a folder has room. */
export async function requireRoom(folder: string, bytes: number): Promise<void> {
  const disk = await statfs(folder);
  const free = disk.bavail * disk.bsize;
  if (free < bytes)
    throw new CapacityError(
      `The export takes about ${formatBytes(bytes)} and ${formatBytes(free)} is free on the disk of --out; free some, or choose another --out.`,
    );
}

/** The folder itself, where its name may be a link to it or end in a dot; undefined when it is not there. */
export async function realFolder(out: string): Promise<string | undefined> {
  try {
    return await realpath(out);
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return undefined;
    throw storageError(error, out);
  }
}

/** Moves what is whole to its place, which is not there or holds it. What was there goes only once that has worked. */
export async function replace(out: string, whole: string): Promise<void> {
  if (dirname(whole) !== out) return rename(whole, out);
  // The folder stays the same one: a shell may stand in it, a link lead to it, a disk be mounted on it.
  const old = `${whole}.old`;
  await mkdir(old);
  const moved: { from: string; to: string }[] = [];
  const move = async (names: string[], source: string, target: string): Promise<void> => {
    for (const name of names) {
      const [from, to] = [join(source, name), join(target, name)];
      await rename(from, to);
      moved.push({ from, to });
    }
  };
  try {
    const before = await readdir(out);
    await move(
      before.filter((name) => ![whole, old].includes(join(out, name))),
      out,
      old,
    );
    // By its configuration a checkpoint is known, so it comes last.
    const names = (await readdir(whole)).toSorted((a, b) => Number(a === CONFIG) - Number(b === CONFIG));
    await move(names, whole, out);
  } catch (error) {
    for (const { from, to } of moved.toReversed()) await rename(to, from);
    await rmdir(old);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}
