import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { CommandModule } from "yargs";
import { InterruptedError, UsageError } from "../../src/errors.ts";
import { storageError } from "../../src/store/storage-error.ts";
import { parseChaos } from "../chaos/schedule.ts";
import { type DemoFlags, runDemo } from "../demo/demo.ts";
import { outputOptions } from "../options.ts";
import { createProgress, formatJson } from "../output.ts";
import { STOP_MS } from "../peer-process.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";

export const command: CommandModule<object, DemoFlags> = {
  describe: "Train a small model with a whole swarm on this machine",
  builder: (yargs) =>
    yargs
      .options({
        peers: { type: "number", default: 4, requiresArg: true, describe: "Peer processes" },
        seed: {
          type: "number",
          default: 0,
          requiresArg: true,
          describe: "Fixes data split, initial weights and routing",
        },
        data: {
          type: "string",
          requiresArg: true,
          describe: "Keep all peers' folders here; a temporary folder otherwise",
        },
        chaos: {
          type: "string",
          requiresArg: true,
          coerce: (text: string | undefined) => (text === undefined ? undefined : parseChaos(text)),
          describe: "Kill, pause, part, slow and wipe peers during the run, as in seed=7,rate=60/h",
        },
        ...outputOptions,
      })
      .example("$0 demo --chaos seed=7,rate=240/h", "the same, with a fault every quarter of a minute")
      .example("$0 demo", "a 2×2 DiPaCo on four kinds of text, in a few minutes")
      .example("$0 demo --seed 1 --json", "end with one line of JSON"),
  async handler(flags) {
    if (!(Number.isInteger(flags.peers) && flags.peers >= 1))
      throw new UsageError("--peers takes a whole number from 1, such as 4.");
    if (flags.data !== undefined) await makeEmpty(flags.data);
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(flags.json ? process.stderr : process.stdout);
    const directory = flags.data ?? (await mkdtemp(path.join(tmpdir(), "pathweave-demo-")));
    try {
      // Its peers say goodbye, too.
      const result = await untilInterrupted(
        shutdown.signal,
        runDemo(flags, directory, progress, shutdown.signal),
        STOP_MS,
      );
      progress[Symbol.dispose]();
      if (flags.json) process.stdout.write(`${formatJson(result)}\n`);
    } catch (error) {
      progress[Symbol.dispose]();
      if (error instanceof InterruptedError && flags.data !== undefined)
        throw new InterruptedError(
          error.signal,
          `Interrupted. The demo leaves what it made in ${flags.data}; delete that folder before you start again with it.`,
        );
      throw error;
    } finally {
      if (flags.data === undefined) await rm(directory, { recursive: true, force: true });
    }
  },
};

/** The demo writes a run file and the folders of its peers. Throws UsageError unless there is room for them. */
async function makeEmpty(data: string): Promise<void> {
  try {
    await mkdir(data, { recursive: true });
    if ((await readdir(data)).length === 0) return;
  } catch (error) {
    throw storageError(error, data);
  }
  throw new UsageError(
    `${data} is not empty, and the demo overwrites nothing. Give --data a folder that is new or empty.`,
  );
}
