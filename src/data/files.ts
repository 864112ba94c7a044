/** From the corpus patterns of a run to a sorted list of files. */
import { glob, lstat, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { distance } from "fastest-levenshtein";
import { CorpusError, messageOf } from "../errors.ts";
import type { Skipped } from "./types.ts";

/** A file of the corpus. */
export interface CorpusFile {
  /** Absolute path on this machine. */
  path: string;
  /** Path relative to the corpus root, with `/`; the same on every machine. */
  source: string;
}

type OnSkip = (skipped: Skipped) => void;

const FOLDER_LINK = "it is a link to a folder, which is not followed; name that folder in corpus, too";
const MAGIC = /[*?[\]{}!()]/;

/**
 * Lists the regular files that the patterns name: files, directories (recursively, without names that
 * start with a dot and without following links to directories) and globs. Sorted by source, each file
 * once. The corpus root is the deepest folder that holds everything the patterns can name.
 * Throws CorpusError for a missing path and for a pattern that names no file.
 */
export async function listFiles(patterns: string[], onSkip: OnSkip): Promise<CorpusFile[]> {
  if (patterns.length === 0)
    throw new CorpusError("The corpus is empty: name at least one file, folder or glob.");
  const roots: string[] = [];
  const found = new Set<string>();
  const unusable: { path: string; reason: string }[] = [];
  for (const pattern of patterns) {
    const absolute = path.resolve(pattern);
    const status = await stat(absolute).catch(() => undefined);
    let named: string[];
    if (status?.isDirectory()) {
      roots.push(absolute);
      named = await walk(absolute, unusable);
    } else if (status !== undefined || !MAGIC.test(pattern)) {
      if (status === undefined) throw new CorpusError(await explainMissing(absolute));
      roots.push(path.dirname(absolute));
      named = [absolute];
    } else {
      const { root, rest } = await literalPart(absolute);
      if ((await stat(root).catch(() => undefined)) === undefined)
        throw new CorpusError(await explainMissing(root));
      roots.push(root);
      named = [];
      for await (const match of glob(rest, { cwd: root })) named.push(path.join(root, match));
    }
    if (named.length === 0) throw new CorpusError(explainNothing(pattern, status !== undefined));
    for (const file of named) found.add(file);
  }
  const root = roots.reduce(commonFolder);
  const sourceOf = (file: string): string => path.relative(root, file).split(path.sep).join("/");
  for (const { path: unreadable, reason } of unusable) onSkip({ file: sourceOf(unreadable), reason });

  const files: CorpusFile[] = [];
  for (const file of found) {
    const source = sourceOf(file);
    try {
      const status = await stat(file);
      if (status.isFile()) files.push({ path: file, source });
      // A glob also matches folders, which is no news; a pipe or socket would never end.
      else if (!status.isDirectory()) onSkip({ file: source, reason: "it is not a regular file" });
      else if ((await lstat(file)).isSymbolicLink()) onSkip({ file: source, reason: FOLDER_LINK });
    } catch (error) {
      onSkip({ file: source, reason: messageOf(error) });
    }
  }
  // By code unit, not by locale: the order must be the same on every machine.
  return files.toSorted((a, b) => (a.source < b.source ? -1 : 1));
}

async function walk(folder: string, unusable: { path: string; reason: string }[]): Promise<string[]> {
  const files: string[] = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    let entries;
    try {
      entries = await readdir(next, { withFileTypes: true });
    } catch (error) {
      unusable.push({ path: next, reason: messageOf(error) });
      continue;
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const full = path.join(next, entry.name);
      if (entry.isDirectory()) folders.push(full);
      else files.push(full);
    }
  }
  return files;
}

async function isFolder(file: string): Promise<boolean> {
  const status = await stat(file).catch(() => undefined);
  return status?.isDirectory() ?? false;
}

/** The folder of a glob before its first wildcard, and the rest. A folder whose name looks like a pattern is a folder. */
async function literalPart(absoluteGlob: string): Promise<{ root: string; rest: string }> {
  const [first = "", ...segments] = absoluteGlob.split(path.sep);
  let root = first + path.sep;
  while (segments.length > 1) {
    const next = path.join(root, segments[0]!);
    if (MAGIC.test(segments[0]!) && !(await isFolder(next))) break;
    root = next;
    segments.shift();
  }
  return { root, rest: segments.join("/") };
}

function explainNothing(pattern: string, isEmptyFolder: boolean): string {
  if (isEmptyFolder) return `The corpus folder ${pattern} holds no file; add some, or name another folder.`;
  const literal = pattern.replaceAll(/[[({]/g, "[$&]");
  return literal === pattern || !/[[({]/.test(pattern)
    ? `The corpus pattern ${pattern} names no file; check it, or list the folder it starts in.`
    : `The corpus pattern ${pattern} names no file. Brackets in it stand for any of what they hold; for a name that has brackets, write ${literal}.`;
}

function commonFolder(a: string, b: string): string {
  let common = a;
  while (path.relative(common, b).startsWith("..") && common !== path.dirname(common))
    common = path.dirname(common);
  return common;
}

/** Names the deepest folder that exists and the entry in it most like what was asked for. */
async function explainMissing(missing: string): Promise<string> {
  let parent = path.dirname(missing);
  let name = path.basename(missing);
  while ((await lstat(parent).catch(() => undefined)) === undefined && parent !== path.dirname(parent)) {
    name = path.basename(parent);
    parent = path.dirname(parent);
  }
  const entries = await readdir(parent).catch(() => []);
  const nearest = entries.toSorted((a, b) => distance(a, name) - distance(b, name))[0];
  const hint =
    nearest !== undefined && distance(nearest, name) <= Math.max(2, name.length / 3)
      ? `did you mean ${path.join(parent, nearest)}?`
      : `the nearest folder that exists is ${parent}.`;
  return `The corpus path ${missing} does not exist; ${hint}`;
}
