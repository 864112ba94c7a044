/**
 * Writes paths of a run as Hugging Face checkpoints. A checkpoint is written elsewhere and moved to its place when it is
 * whole: a new folder in one step, into a folder that is there file by file.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, realpath, rename, rm, rmdir, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { generationConfig, modelCard, modelConfig, tokenizerFiles } from "./checkpoint.ts";
import { loadTokenizer } from "../data/tokenizer.ts";
import { CapacityError, PathweaveError, UsageError } from "../errors.ts";
import { parameterSpecs } from "../model/parameters.ts";
import { moduleTensors } from "../peer/module-tensors.ts";
import type { ModelSource } from "./path-model.ts";
import { formatBytes } from "../run/format.ts";
import { bytesOf, INDEX_FILE, indexOf, planFiles, writeFiles } from "./safetensors.ts";
import { hasCode, storageError } from "../store/storage-error.ts";

/** Room for tokenizer, configuration and headers. */
const OTHER_BYTES = 32 << 20;
const UNFINISHED = ".unfinished";
/** What an export that was killed has left. */
const LEFT = /^\..*\.unfinished(\.old)?$/;
const CONFIG = "config.json";
/** What a checkpoint consists of. Nothing else is ever replaced. */
const OWN_FILE =
  /^(model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|(generation_)?config\.json|tokenizer(_config)?\.json|README\.md)$/;
const OWN_FOLDER = /^path-\d+$/;

export interface ExportOptions {
  /** A folder that is absent or empty. */
  out: string;
  /** Replace an earlier export in `out`. */
  force: boolean;
  /** Most bytes of a weight file. */
  maxFileBytes: number;
  /** Receives bytes of weights written and their total over all paths. */
  onProgress(written: number, total: number): void;
  signal: AbortSignal;
}

export interface ExportedPath {
  path: number;
  folder: string;
  files: string[];
  bytes: number;
}

/**
 * Writes one path into `out`, or several into `out/path-N`. Throws UsageError when the folder is in use, CapacityError
 * when the disk is too small, UnavailableError when a module cannot be had, StorageError when the disk refuses; then
 * `out` is as it was.
 */
export async function exportPaths(
  source: ModelSource,
  paths: readonly number[],
  options: ExportOptions,
): Promise<ExportedPath[]> {
  const there = await realFolder(options.out);
  const out = there ?? resolve(options.out);
  const tensors = parameterSpecs(source.shape).map(({ name, shape }) => ({ name, shape }));
  const bytes = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  // Else a path that does not exist would be found after hours.
  for (const path of paths) source.topology.modulesOfPath(path);
  await requireFree(out, options.force);
  // A folder that is there may be a disk of its own.
  const unfinished = join(there ?? dirname(out), `.${basename(out)}.${randomUUID()}${UNFINISHED}`);
  try {
    await mkdir(unfinished, { recursive: true });
    await requireRoom(unfinished, paths.length * (bytes + OTHER_BYTES));
    const exported: ExportedPath[] = [];
    for (const [index, path] of paths.entries()) {
      const name = paths.length === 1 ? "" : `path-${path}`;
      const folder = join(unfinished, name);
      await mkdir(folder, { recursive: true });
      await writePath(source, path, folder, options, (written) =>
        options.onProgress(index * bytes + written, paths.length * bytes),
      );
      exported.push({
        path,
        folder: join(resolve(options.out), name),
        files: (await readdir(folder)).toSorted(),
        bytes,
      });
    }
    await replace(out, unfinished);
    return exported;
  } catch (error) {
    if (error instanceof PathweaveError || options.signal.aborted || !hasSystemCode(error)) throw error;
    throw storageError(error, out);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Writes all files of a path into a folder that is there. */
async function writePath(
  source: ModelSource,
  path: number,
  folder: string,
  { maxFileBytes, signal }: ExportOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { shape, topology, manifest } = source;
  const specs = parameterSpecs(shape);
  const json = await source.tokenizerJson();
  const { endOfText } = loadTokenizer(json);
  const tokenizer = tokenizerFiles(json, endOfText, shape.sequenceLength);
  const modules = topology.modulesOfPath(path).map((module) => source.head(module));

  const files = planFiles(
    specs.map(({ name, shape: dimensions }) => ({ name, shape: dimensions })),
    maxFileBytes,
  );
  await writeFiles(folder, files, tensorsOf(source, path, signal), onBytes);
  const write = (name: string, content: Uint8Array | string): Promise<void> =>
    writeFile(join(folder, name), content, { flag: "wx", flush: true });
  const writeJson = (name: string, value: object): Promise<void> =>
    write(name, `${JSON.stringify(value, undefined, 2)}\n`);
  if (files.length > 1) await writeJson(INDEX_FILE, indexOf(files));
  await writeJson(CONFIG, modelConfig(shape, endOfText));
  await writeJson("generation_config.json", generationConfig(endOfText));
  await write("tokenizer.json", tokenizer.json);
  await writeJson("tokenizer_config.json", tokenizer.config);
  const card = modelCard({
    run: source.run.toString(),
    config: manifest.config,
    path,
    paths: topology.paths,
    modules: modules.map(({ module, generation, cid, tokens }) => ({
      module,
      generation,
      cid: cid.toString(),
      tokens,
    })),
    parameters: specs.reduce((sum, { size }) => sum + size, 0),
  });
  await write("README.md", card);
}

/** The tensors of a path in the order of the flat vector; one module is in memory at a time. */
async function* tensorsOf(
  { topology, shape, parameters }: ModelSource,
  path: number,
  signal: AbortSignal,
): AsyncGenerator<Float32Array, void, undefined> {
  const tensors = moduleTensors(topology, shape);
  for (const module of topology.modulesOfPath(path)) {
    const values = await parameters(module, "head", signal);
    let offset = 0;
    for (const tensor of tensors.get(module)!) {
      signal.throwIfAborted();
      const end = offset + bytesOf(tensor) / Float32Array.BYTES_PER_ELEMENT;
      yield values.subarray(offset, end);
      offset = end;
    }
  }
}

// ------------------------------------------------------------------ the folder

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

async function requireRoom(folder: string, bytes: number): Promise<void> {
  const disk = await statfs(folder);
  const free = disk.bavail * disk.bsize;
  if (free < bytes)
    throw new CapacityError(
      `The export takes about ${formatBytes(bytes)} and ${formatBytes(free)} is free on the disk of --out; free some, or choose another --out.`,
    );
}

/** The folder itself, where its name may be a link to it or end in a dot; undefined when it is not there. */
async function realFolder(out: string): Promise<string | undefined> {
  try {
    return await realpath(out);
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return undefined;
    throw storageError(error, out);
  }
}

/** Moves what is whole to its place, which is not there or holds it. What was there goes only once that has worked. */
async function replace(out: string, whole: string): Promise<void> {
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

function hasSystemCode(error: unknown): boolean {
  return error instanceof Error && "code" in error && "syscall" in error;
}
