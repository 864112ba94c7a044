/** Checks of a configuration that need more than one key. The schema has checked each key alone. */
import type { RunConfig } from "../objects/config.ts";
import type { Manifest } from "../objects/manifest.ts";
import { PROTOCOL } from "../objects/protocol.ts";
import { CODECS } from "../outer/codecs.ts";
import { OUTER_OPTIMIZERS } from "../outer/optimizers.ts";
import { ROUTING_METHODS } from "../routing/methods.ts";
import { countPaths } from "./grid.ts";
import { gridProblems, levelProblems } from "./levels.ts";
import { keyName, type Problem, throwProblems } from "./problem.ts";
import type { Topology } from "./types.ts";

/** Contributions that one version may list. */
const MAX_CONTRIBUTIONS = 8192;

/** All that is wrong with a configuration although each of its keys is valid, in no order. */
export function configProblems(config: RunConfig): Problem[] {
  const { grid, levels, model, training, outer, swarm, routing, data, admission } = config;
  const problems: Problem[] = [];
  const check = (right: boolean, path: Problem["path"], text: string): void => {
    if (!right) problems.push({ path, message: `${keyName(path)} ${text}.` });
  };

  const paths = countPaths(grid);
  problems.push(...gridProblems(grid, levels), ...levelProblems(grid, levels, model.blocks));
  check(
    paths * config.replicas * (outer.maxStaleness + 1) <= MAX_CONTRIBUTIONS,
    ["replicas"],
    `is ${config.replicas}: with ${paths} paths and outer.maxStaleness ${outer.maxStaleness} a version could ` +
      `fold over ${MAX_CONTRIBUTIONS} contributions; lower one of the three`,
  );

  check(
    model.width % model.heads === 0,
    ["model", "width"],
    `is ${model.width}, not divisible by model.heads (${model.heads}); expected a multiple, such as ` +
      `${Math.max(1, Math.round(model.width / model.heads)) * model.heads}`,
  );
  check(
    model.width % model.heads !== 0 || (model.width / model.heads) % 2 === 0,
    ["model", "heads"],
    `is ${model.heads}, so a head would have ${model.width / model.heads} features; rotary positions need an even number`,
  );
  check(
    routing.prefixTokens < model.sequenceLength,
    ["routing", "prefixTokens"],
    `is ${routing.prefixTokens}; expected less than model.sequenceLength (${model.sequenceLength}), or no token would be scored`,
  );

  const isNamed = (table: Readonly<Record<string, unknown>>, path: Problem["path"], name: string): void =>
    check(Object.hasOwn(table, name), path, `is ${name}; expected one of ${Object.keys(table).join(", ")}`);
  isNamed(OUTER_OPTIMIZERS, ["outer", "optimizer"], outer.optimizer);
  isNamed(CODECS, ["outer", "codec"], outer.codec);
  isNamed(ROUTING_METHODS, ["routing", "method"], routing.method);
  const options = OUTER_OPTIMIZERS[outer.optimizer]?.options.safeParse(outer.options ?? {});
  for (const issue of options?.error?.issues ?? [])
    check(
      false,
      ["outer", "options", ...issue.path],
      `does not fit outer.optimizer ${outer.optimizer}: ${issue.message}`,
    );

  const steps = training.seedSteps + training.rounds * training.innerSteps;
  check(
    training.warmupSteps < steps,
    ["training", "warmupSteps"],
    `is ${training.warmupSteps}; expected less than the ${steps} steps of the run (seedSteps + rounds × innerSteps)`,
  );
  check(
    data.validationFraction + data.routerFraction < 1,
    ["data", "validationFraction"],
    "and data.routerFraction leave nothing to train on; expected a sum below 1",
  );
  check(
    swarm.leaseSeconds >= 2 * swarm.heartbeatSeconds,
    ["swarm", "leaseSeconds"],
    `is ${swarm.leaseSeconds}; expected at least twice swarm.heartbeatSeconds (${swarm.heartbeatSeconds}), which renews it`,
  );
  check(
    swarm.settleSeconds < swarm.leaseSeconds,
    ["swarm", "settleSeconds"],
    `is ${swarm.settleSeconds}; expected less than swarm.leaseSeconds (${swarm.leaseSeconds})`,
  );
  for (const [index, peer] of admission?.peers?.entries() ?? [])
    check(
      admission!.peers!.indexOf(peer) === index,
      ["admission", "peers", index],
      `repeats ${peer}; list every peer once`,
    );
  return problems;
}

/** Throws ManifestError with every problem. Peers call it on the manifests they fetch, too. */
export function validateConfig(config: RunConfig): void {
  throwProblems(configProblems(config));
}

/** Throws ManifestError when a manifest does not have what its own configuration asks for. */
export function checkManifest(
  { protocol, genesis, shards, holdouts }: Manifest,
  { moduleNames, paths }: Topology,
): void {
  const problems: Problem[] = [];
  if (protocol !== PROTOCOL)
    problems.push({
      path: ["protocol"],
      message: `its peers speak protocol ${protocol} and this Pathweave ${PROTOCOL}; use the version of Pathweave that made the run.`,
    });
  const wrong = moduleNames.find((name, index) => genesis[index]?.module !== name);
  if (wrong !== undefined || genesis.length !== moduleNames.length)
    problems.push({
      path: ["genesis"],
      message: `genesis names ${genesis.length} modules, not the ${moduleNames.length} of the run in order${wrong === undefined ? "" : `; ${wrong} is not in its place`}.`,
    });
  for (const [name, { length }] of Object.entries({ shards, holdouts }))
    if (length !== paths)
      problems.push({
        path: [name],
        message: `${name} has ${length} entries, not one for each of ${paths} paths.`,
      });
  throwProblems(problems);
}
