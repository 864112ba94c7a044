/** What the demo says at its end. */
import path from "node:path";
import type { CreatedRun } from "../../src/create/create.ts";
import { pathweaveCommand } from "../../src/invocation.ts";
import { perplexity, type RunEvaluation } from "../../src/use/evaluate.ts";
import { nextSteps } from "../next-steps.ts";
import { counted, formatTable } from "../output.ts";
import { formatRate } from "../plot.ts";
import { type BaselineName, baselineOf } from "./baselines.ts";
import type { Sample } from "./samples.ts";

/** Perplexities on held-out text. */
export interface Scores {
  seed: number;
  /** For as many steps as a path has. */
  dense: number;
  /** For as many steps as all paths have together. */
  denseEqualTokens: number;
  dipaco: number;
}

/** Tables of what was learned, and a sample of each path. */
export function report(
  created: CreatedRun,
  evaluation: RunEvaluation,
  scores: Scores,
  samples: Sample[],
): string[] {
  const { seedSteps, rounds, innerSteps, batchSize, learningRate } = created.manifest.config.training;
  const { sequenceLength } = created.manifest.config.model;
  const paths = created.manifest.shards.length;
  const row = (name: string, steps: number, stepsInAll: number, rate: number, score: number): string[] => [
    name,
    String(steps),
    `${((stepsInAll * batchSize * sequenceLength) / 1e6).toFixed(2)} M`,
    formatRate(rate),
    score.toFixed(2),
  ];
  const dense = (key: BaselineName, score: number): string[] => {
    const { name, steps, learningRate: rate } = baselineOf(key, created.manifest);
    return row(name, steps, steps, rate, score);
  };
  const inRounds = rounds * innerSteps;
  const all = seedSteps + paths * inRounds;
  const lines = formatTable(
    ["model", "steps per path", "tokens", "rate", "held-out perplexity"],
    [
      dense("equalSteps", scores.dense),
      dense("equalTokens", scores.denseEqualTokens),
      row("warm start of DiPaCo", seedSteps, seedSteps, learningRate, scores.seed),
      row(`DiPaCo, ${counted(paths, "path")}`, seedSteps + inRounds, all, learningRate, scores.dipaco),
    ],
  );
  lines.push("", "The learning rates are from a sweep (docs/log.md).");
  const byPath = formatTable(
    ["path", "held-out documents", "warm start", "DiPaCo"],
    evaluation.paths.map((path, index) => [
      String(index),
      String(path.documents),
      path.documents === 0 ? "-" : perplexity(path.seed).toFixed(2),
      path.documents === 0 ? "-" : perplexity(path.dipaco).toFixed(2),
    ]),
  );
  const written = samples.map(({ path, prompt, text }) => `path ${path}: ${prompt.slice(-60)} >>> ${text}`);
  return ["", ...lines, "", ...byPath, "", ...written, ""];
}

/** How the model can be used afterwards. */
export function afterwards(data: string | undefined): string[] {
  if (data !== undefined) return nextSteps(path.join(data, "peer-1"), { peersRun: false });
  return [
    `The model is gone with the demo. To keep it for generate and export: ${pathweaveCommand("demo --data ./demo")}`,
  ];
}
