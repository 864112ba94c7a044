/** What every network must do for a swarm, in memory and over TCP. */
import { test } from "node:test";
import { connectionScenarios } from "./scenarios/connections.ts";
import { gossipScenarios } from "./scenarios/gossip.ts";
import { requestScenarios } from "./scenarios/requests.ts";
import { lookupScenarios } from "./scenarios/lookups.ts";
import { blockingScenarios } from "./scenarios/blocking.ts";
import type { Scenario } from "./scenarios/support.ts";
import type { Setup } from "./setup.ts";

/** Registers the scenarios under the name of a network. */
export function complies(name: string, setup: Setup): void {
  const scenario: Scenario = (what, run) => void test(`${name}: ${what}`, (t) => run(setup(t)));
  connectionScenarios(scenario);
  gossipScenarios(scenario);
  requestScenarios(scenario);
  lookupScenarios(scenario);
  blockingScenarios(scenario);
}
