import type { RunConfig } from "../objects/config.ts";
import { counted, formatBytes, formatCount } from "./format.ts";
import type { RunSizes } from "./sizes.ts";
import type { Topology, TopologyLevel } from "./types.ts";

function chooses({ choose, size }: TopologyLevel): string {
  if (choose === "shared") return "shared by all paths";
  return choose === "path"
    ? `${counted(size, "module")}, one per path`
    : `${counted(size, "module")}, chosen by axis ${choose}`;
}

function partsName(parts: readonly string[]): string {
  const blocks = parts.flatMap((part) => (part.startsWith("block ") ? [part.slice(6)] : []));
  const range = blocks.length > 1 ? `blocks ${blocks[0]}-${blocks.at(-1)}` : `block ${blocks[0]}`;
  return [
    ...(parts.includes("embedding") ? ["embedding"] : []),
    ...(blocks.length > 0 ? [range] : []),
    ...(parts.includes("head") ? ["head"] : []),
  ].join(", ");
}

/** The run and what it costs, as lines of aligned text. */
export function describeRun(config: RunConfig, topology: Topology, sizes: RunSizes): string[] {
  const { model, training } = config;
  const replicas = config.replicas > 1 ? ` × ${config.replicas} replicas` : "";
  const bytes = `${formatBytes(sizes.bytesDown)} down, ${formatBytes(sizes.bytesUp)} up in ${config.outer.codec}`;
  const rows: [string, string][] = [
    [
      "run",
      `${config.name}: ${counted(topology.paths, "path")} (grid ${config.grid.join(" × ")})${replicas}`,
    ],
    [
      "model",
      `${counted(model.blocks, "block")}, width ${model.width}, ${counted(model.heads, "head")}, ${counted(model.sequenceLength, "token")}, vocabulary ${model.vocabulary}`,
    ],
    ...topology.levels.map((level): [string, string] => {
      const parameters = sizes.parametersOfModule.get(`${level.name}/0`) ?? 0;
      return [
        `level ${level.name}`,
        `${partsName(level.parts)}: ${chooses(level)}, ${formatCount(parameters)} parameters each`,
      ];
    }),
    [
      "parameters",
      `${formatCount(sizes.parametersPerPath)} per path, ${formatCount(sizes.parameters)} in all`,
    ],
    [
      "training",
      `${counted(training.rounds, "round")} of ${counted(training.innerSteps, "step")} × ${counted(training.batchSize, "sequence")}, ${formatCount(sizes.tokensPerRound)} tokens a round, ${formatCount(sizes.tokens)} in all`,
    ],
    ["traffic", `${bytes}, per path and round`],
    [
      "needs about",
      `${formatBytes(sizes.processBytes)} of memory and ${formatBytes(sizes.diskBytes)} of disk per path`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
}
