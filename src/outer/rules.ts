/**
 * What contributions and versions must satisfy. All refusals are InvalidObjectErrors that name the object
 * and the first reason; tensors are not looked at here, that is what folding again is for.
 */
import type { CID } from "multiformats/cid";
import { InvalidObjectError } from "../errors.ts";
import { isAdmitted, type RunConfig } from "../objects/config.ts";
import { outerOptimizer } from "./optimizers.ts";
import { ROUTER } from "../objects/manifest.ts";
import { routingMethod } from "../routing/methods.ts";
import { slotKey } from "../plan/slots.ts";
import { compareContributions } from "./order.ts";
import type { KnownContribution, KnownVersion, LineageInit } from "./types.ts";

function refuse(kind: "contribution" | "version", cid: CID, reason: string): never {
  throw new InvalidObjectError(`Refused ${kind} ${cid.toString()}: ${reason}.`);
}

/** B × T. */
export function tokensPerStep(config: RunConfig): number {
  return config.training.batchSize * config.model.sequenceLength;
}

/** With fewer contributions nothing is a minority, and no average helps against one that is wrong. */
export const MAJORITY = 3;

/** Whether contributions to a module are tried on held-out text: the run says so, and too few are averaged. */
export function isTried(
  module: string,
  { config, topology }: Pick<LineageInit, "config" | "topology">,
): boolean {
  const writers = topology.pathsOfModule(module).length * config.replicas;
  return config.outer.holdout !== undefined && writers < MAJORITY;
}

/** One peer contributes to a slot at most once in a lineage; this names that. */
export function authorship(contribution: KnownContribution): string {
  return `${slotKey(contribution)}/${contribution.signer}`;
}

/** Refuses a contribution that is not one of this run's module. */
export function checkContribution(contribution: KnownContribution, init: Omit<LineageInit, "genesis">): void {
  const { module, topology, config, plan, runId } = init;
  const { cid, run, path, bases, steps, tokens, signer } = contribution;
  const { innerSteps } = config.training;
  const no = (reason: string): never => refuse("contribution", cid, reason);
  if (!run.equals(runId)) no(`it is of run ${run.toString()}`);
  if (!isAdmitted(config, signer)) no(`its signer ${signer} is not on the list of peers that the run admits`);
  if (contribution.module !== module) no(`it is of module ${contribution.module}, not ${module}`);
  const objection = plan.objection(module, contribution);
  if (objection !== undefined) no(objection);
  if (steps < 1 || steps > innerSteps) no(`${steps} steps are not between 1 and ${innerSteps}`);
  const expected = steps * tokensPerStep(config);
  if (tokens !== expected) no(`${steps} steps are ${expected} tokens, not ${tokens}`);
  const modules = topology.basesOfPath(path);
  if (bases.length !== modules.length || bases.some((each, index) => each.module !== modules[index]))
    no(`the versions that it names are not one of each module of path ${path} and the router, in order`);
  if (plan.weightOf(contribution) === undefined)
    no("it names a version of the router that the run does not have");
}

/** Refuses a version that cannot be an outer update of the module, whatever its parent is. */
export function checkUpdate(
  version: KnownVersion,
  { module, config }: Pick<LineageInit, "module" | "config">,
): asserts version is KnownVersion & { parent: CID } {
  const no = (reason: string): never => refuse("version", version.cid, reason);
  if (version.module !== module) no(`it is of module ${version.module}, not ${module}`);
  if (module === ROUTER && routingMethod(config.routing.method).work.length === 0)
    no("no work changes the router of this run");
  if (version.parent === null) no("it is a genesis that the manifest does not name");
  if (version.generation < 1) no("only a genesis has generation 0");
  if (version.contributions.length === 0) no("it folds no contribution");
  const { stateNames } = outerOptimizer(config.outer.optimizer);
  if (
    Object.keys(version.state).length !== stateNames.length ||
    !stateNames.every((name) => Object.hasOwn(version.state, name))
  )
    no(`its state is not ${stateNames.join(", ")}`);
}

/**
 * Refuses a version that does not follow from its parent and contributions. `alreadyFolded` tells whether
 * an ancestor holds a contribution of the same peer to the same round; `staleness` is in generations.
 */
export function checkFold(
  version: KnownVersion,
  parent: KnownVersion,
  contributions: KnownContribution[],
  maxStaleness: number,
  staleness: (contribution: KnownContribution) => number,
  alreadyFolded: (contribution: KnownContribution) => boolean,
): void {
  const no = (reason: string): never => refuse("version", version.cid, reason);
  if (version.generation !== parent.generation + 1)
    no(`its generation is ${version.generation} and its parent's ${parent.generation}`);
  const authors = new Set<string>();
  let tokens = parent.tokens;
  for (const [index, contribution] of contributions.entries()) {
    const previous = contributions[index - 1];
    if (previous !== undefined && compareContributions(previous, contribution) >= 0)
      no("its contributions are not in fold order, each once");
    if (staleness(contribution) > maxStaleness)
      no(`contribution ${contribution.cid.toString()} is over ${maxStaleness} generations old`);
    const author = authorship(contribution);
    if (authors.has(author) || alreadyFolded(contribution))
      no(`contribution ${contribution.cid.toString()} repeats a round that its peer already contributed`);
    authors.add(author);
    tokens += contribution.tokens;
  }
  if (version.tokens !== tokens) no(`its lineage folded ${tokens} tokens, not ${version.tokens}`);
}
