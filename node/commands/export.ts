import type { CommandModule } from "yargs";
import { UsageError } from "../../src/errors.ts";
import { requireFree } from "../../src/use/export-folder.ts";
import { exportPaths } from "../../src/use/export.ts";
import type { ModelSource } from "../../src/use/path-model.ts";
import { parseBytes } from "../../src/run/format.ts";
import type { Topology } from "../../src/run/types.ts";
import type { ObserveCommandFlags } from "../observe.ts";
import { createProgress, formatBar, formatBytes, formatJson, type Progress } from "../output.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";
import { describePath, listPaths, modelOptions, MOST_LISTED, useModel } from "../use-model.ts";

interface ExportFlags extends ObserveCommandFlags {
  path: string | undefined;
  out: string;
  force: boolean;
  "max-file": string;
}

export const command: CommandModule<object, ExportFlags> = {
  describe: "Write a path as a Hugging Face Llama checkpoint",
  builder: (yargs) =>
    yargs
      .options({
        path: {
          type: "string",
          requiresArg: true,
          describe: "Number of the path, or all: one folder for each path in --out",
        },
        out: {
          type: "string",
          demandOption: "Give --out, the folder to make.",
          requiresArg: true,
          describe: "Folder to make",
        },
        force: {
          type: "boolean",
          default: false,
          describe: "Replace an earlier export in --out, and nothing else",
        },
        "max-file": {
          type: "string",
          default: "5GB",
          requiresArg: true,
          describe: "Largest size of a weight file; larger weights take several",
        },
        ...modelOptions,
      })
      .example("$0 export --path 0 --out llama", "the run in .pathweave, whether its peer runs or not")
      .example(
        "$0 export --path all --out llama --invite-file lab.invite",
        "every path, from the run's peers",
      ),
  async handler(flags) {
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(process.stderr);
    try {
      const { signal } = shutdown;
      const result = await untilInterrupted(signal, exportAll(flags, progress, signal));
      progress[Symbol.dispose]();
      if (flags.json) process.stdout.write(`${formatJson(result)}\n`);
      else
        for (const { path, folder, bytes } of result.exported)
          process.stdout.write(`path ${path} is in ${folder}, ${formatBytes(bytes)} of weights\n`);
    } finally {
      progress[Symbol.dispose]();
      shutdown[Symbol.dispose]();
    }
  },
};

async function exportAll(flags: ExportFlags, progress: Progress, signal: AbortSignal) {
  const maxFileBytes = parseBytes(flags["max-file"], "max-file");
  const { out, force } = flags;
  // Before anything is fetched.
  await requireFree(out, force);
  return useModel(flags, signal, progress, async (source) => {
    const paths = pathsOf(flags.path, source.topology);
    for (const path of paths.slice(0, MOST_LISTED)) progress.line(describePath(source, path));
    const onProgress = (done: number, total: number): void =>
      progress.update(`writing ${formatBar(done, total)} ${formatBytes(done)} of ${formatBytes(total)}`);
    const exported = await exportPaths(source, paths, { out, force, maxFileBytes, onProgress, signal });
    return { run: source.run, exported: withVersions(source, exported) };
  });
}

function withVersions<T extends { path: number }>({ topology, head }: ModelSource, exported: T[]) {
  return exported.map((one) => {
    const heads = topology.modulesOfPath(one.path).map((module) => head(module));
    return { ...one, modules: heads.map(({ module, generation, cid }) => ({ module, generation, cid })) };
  });
}

/** Throws UsageError, with the paths there are, when the flag names none of them. */
export function pathsOf(flag: string | undefined, topology: Topology): number[] {
  const all = Array.from({ length: topology.paths }, (_, path) => path);
  if (flag === "all" || (flag === undefined && all.length === 1)) return all;
  const path = flag !== undefined && /^\d{1,9}$/.test(flag) ? Number(flag) : -1;
  if (path >= 0 && path < all.length) return [path];
  const why = flag === undefined ? "Say which path" : `There is no path "${flag.slice(0, 20)}"`;
  throw new UsageError(`${why}; give --path all, or the number of one: ${listPaths(topology)}.`);
}
