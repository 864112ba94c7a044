/** Where `generate` and `export` find a run's model: in the folder of this machine, else with the peers of the run. */
import { join } from "node:path";
import type { Options } from "yargs";
import { PathweaveError, UnavailableError } from "../src/errors.ts";
import { openFolderModel } from "../src/use/folder-model.ts";
import { quoted } from "../src/invocation.ts";
import { modelOfPeer, type ModelSource } from "../src/use/path-model.ts";
import type { Peer } from "../src/peer/types.ts";
import type { Topology } from "../src/run/types.ts";
import type { ObserveCommandFlags } from "./observe.ts";
import { observeOptions } from "./options.ts";
import { formatBytes, type Progress } from "./output.ts";

/** Paths that one message lists at most. */
export const MOST_LISTED = 16;
/** How often a fetch that is under way is shown. */
const FETCHING_MS = 1000;

/** Flags of these commands: what stands where others take an invite is a prompt, or nothing. */
export const modelOptions = {
  invite: {
    type: "string",
    requiresArg: true,
    describe: "Use the run of this invite, whatever is in --data",
  },
  ...observeOptions,
} as const satisfies Record<string, Options>;

/**
 * Runs `use` with the model in `--data`, if all that it reads is there, and else once more with the model as the peers
 * of the run have it. With an invite only they are asked.
 */
export async function useModel<T>(
  flags: ObserveCommandFlags,
  signal: AbortSignal,
  progress: Progress,
  use: (source: ModelSource) => Promise<T>,
): Promise<T> {
  const isGiven = flags.invite !== undefined || flags["invite-file"] !== undefined;
  let lacking: string | undefined;
  if (!isGiven)
    try {
      progress.update(`reading ${flags.data}`);
      const source = await openFolderModel(flags.data);
      const { generation, of } = oldestHead(source);
      if (generation < of)
        progress.line(
          `${flags.data} has the run up to generation ${generation} of ${of}; --invite-file ${quoted(join(flags.data, "invite"))} asks its peers for newer ones.`,
        );
      progress.update("reading the weights");
      return await use(source);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      lacking = error.message;
      progress.line(`${lacking} Asking the peers of the run.`);
    }
  progress.update("looking for peers of the run");
  // A folder is read without the network, which is slow to load.
  const { observe } = await import("./observe.ts");
  try {
    return await observe(flags, signal, async (peer) => {
      const shown = showFetching(peer, progress);
      try {
        return await use(modelOfPeer(peer));
      } finally {
        shown[Symbol.dispose]();
      }
    });
  } catch (error) {
    if (lacking === undefined || !(error instanceof PathweaveError) || signal.aborted) throw error;
    throw new UnavailableError(`${lacking} ${error.message} Or name the folder of another peer with --data.`);
  }
}

/** Of the module that has most generations to come. */
function oldestHead({ topology, plan, head }: ModelSource): { generation: number; of: number } {
  const heads = topology.modules.map(({ name }) => ({
    generation: head(name).generation,
    of: plan.lastGeneration(name),
  }));
  return heads.toSorted((a, b) => b.of - b.generation - (a.of - a.generation))[0]!;
}

function showFetching({ store }: Peer, progress: Progress): Disposable {
  const timer = setInterval(() => {
    const [fetch] = store.fetches();
    if (fetch === undefined) return;
    const received = formatBytes(store.transferred.bytesIn);
    progress.update(`fetching: ${fetch.arrived} of ${fetch.blocks} blocks, ${received} received`);
  }, FETCHING_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** The paths of a run with their modules: `0 (lower/0, upper/0); 1 (lower/0, upper/1)`. */
export function listPaths({ paths, modulesOfPath }: Topology): string {
  const listed = Array.from(
    { length: Math.min(paths, MOST_LISTED) },
    (_, path) => `${path} (${modulesOfPath(path).join(", ")})`,
  );
  return listed.join("; ") + (paths > MOST_LISTED ? `; and so on up to ${paths - 1}` : "");
}

/** The versions that a path is made of: `path 1 (lower/0, upper/1), generation 8 of 8`. */
export function describePath({ topology, plan, head }: ModelSource, path: number): string {
  const modules = topology.modulesOfPath(path);
  const last = Math.max(...modules.map((module) => plan.lastGeneration(module)));
  const generations = modules.map((module) => head(module).generation);
  const [first] = generations;
  if (generations.every((generation) => generation === first))
    return `path ${path} (${modules.join(", ")}), generation ${first} of ${last}`;
  const each = modules.map((module, index) => `${module} generation ${generations[index]}`);
  return `path ${path}: ${each.join(", ")}, of ${last}`;
}
