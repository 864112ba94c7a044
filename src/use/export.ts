/** Writes paths of a run as Hugging Face checkpoints. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { generationConfig, modelCard, modelConfig, tokenizerFiles } from "./checkpoint.ts";
import { loadTokenizer } from "../data/tokenizer.ts";
import { PathweaveError } from "../errors.ts";
import { parameterSpecs } from "../model/parameters.ts";
import { moduleTensors } from "../peer/module-tensors.ts";
import { CONFIG, realFolder, replace, requireFree, requireRoom, unfinishedFolder } from "./export-folder.ts";
import type { ModelSource } from "./path-model.ts";
import { bytesOf, INDEX_FILE, indexOf, planFiles, writeFiles } from "./safetensors.ts";
import { storageError } from "../store/storage-error.ts";

/** Room for tokenizer, configuration and headers. */
const OTHER_BYTES = 32 << 20;

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
  const unfinished = unfinishedFolder(out, there !== undefined);
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

function hasSystemCode(error: unknown): boolean {
  return error instanceof Error && "code" in error && "syscall" in error;
}
