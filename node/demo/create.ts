/** The run of the demo: a corpus that comes with the packages, and the folder of the first peer. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import { createRun, type CreatedRun } from "../../src/create/create.ts";
import { CorpusError } from "../../src/errors.ts";
import { packageFolders } from "../../src/installation.ts";
import { createLogger, type Level } from "../../src/log.ts";
import { openDirectory } from "../../src/peer/directory.ts";
import { encodeInvite } from "../../src/run/invite.ts";
import { readRunFile } from "../../src/run/run-file.ts";
import { writeInvite } from "../../src/store/invite-file.ts";
import { describeCreateProgress } from "../create-progress.ts";
import type { Progress } from "../output.ts";
import { demoCorpus } from "./corpus.ts";
import { DEMO_DEVICE, demoRun } from "./run.ts";

/** Makes the run in `first`, the folder of a peer. Throws CorpusError when a package with text is missing. */
export async function createDemoRun(
  flags: { seed: number; "log-level": Level },
  directory: string,
  first: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<CreatedRun> {
  const kinds = demoCorpus(packageFolders());
  const missing = kinds.filter(({ patterns }) => patterns.length === 0).map(({ kind }) => kind);
  if (missing.length > 0)
    throw new CorpusError(
      `The demo takes its text from the packages, and finds none for: ${missing.join(", ")}. Install Pathweave again, or run npm ci in a checkout.`,
    );
  const runFile = path.join(directory, "run.yaml");
  await writeFile(
    runFile,
    stringify({ ...demoRun(flags.seed), corpus: kinds.flatMap(({ patterns }) => patterns) }),
  );
  const file = await readRunFile(runFile);
  const node = await openDirectory(
    first,
    { listen: [], announce: [], bootstrap: [], mdns: false },
    createLogger(flags["log-level"]),
  );
  try {
    const created = await createRun({
      file,
      creator: node.network.peerId,
      store: node.store,
      packs: node.packs,
      device: DEMO_DEVICE,
      onProgress: (step) => progress.update(describeCreateProgress(step)),
      signal,
    });
    await writeInvite(first, encodeInvite({ run: created.run, bootstrap: [] }));
    progress.line(
      `run ${created.run}: ${kinds.map(({ kind }) => kind).join(", ")}; shards of ` +
        `${created.manifest.shards.map((shard) => `${Math.round(shard.tokens / 1000)}k`).join(", ")} tokens`,
    );
    return created;
  } finally {
    await node.stop();
  }
}
