/** A run that is small enough for tests, made by the real command from real text. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CID } from "multiformats/cid";
import { stringify } from "yaml";
import { demoCorpus } from "../../node/demo/corpus.ts";
import { packageFolders } from "../../src/installation.ts";

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
export const PATHWEAVE = path.join(PROJECT, "node/pathweave.ts");
export const ROUNDS = 3;

/** The run as its YAML file says it, with a few files of each kind of the demo's text. */
export function tinyRun() {
  return {
    name: "tiny",
    seed: 7,
    grid: [2, 2],
    model: { vocabulary: 512, sequenceLength: 64, width: 32, blocks: 2, heads: 2 },
    training: { rounds: ROUNDS, innerSteps: 60, batchSize: 8, seedSteps: 12, warmupSteps: 4 },
    outer: { momentum: 0.6, codec: "bf16" },
    routing: { prefixTokens: 16 },
    swarm: {
      heartbeatSeconds: 0.5,
      leaseSeconds: 4,
      settleSeconds: 0.3,
      graceSeconds: 30,
      antiEntropySeconds: 1,
    },
    corpus: demoCorpus(packageFolders()).flatMap(({ patterns }) => patterns.slice(0, 12)),
  };
}

/** Makes the run with `pathweave create`; resolves to its id. */
export async function createTinyRun(
  directory: string,
  data: string,
  changes: Partial<Record<"swarm" | "training" | "outer" | "admission", Record<string, unknown>>> = {},
  flags: string[] = [],
): Promise<CID> {
  const file = path.join(directory, "run.yaml");
  const content = tinyRun();
  const swarm = { ...content.swarm, ...changes.swarm };
  const training = { ...content.training, ...changes.training };
  const outer = { ...content.outer, ...changes.outer };
  await writeFile(file, stringify({ ...content, ...changes, swarm, training, outer }));
  const args = [PATHWEAVE, "create", file, "--no-start", "--data", data, "--json", ...flags];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { run } = JSON.parse(stdout.trim().split("\n").at(-1)!) as { run: string };
  return CID.parse(run);
}
