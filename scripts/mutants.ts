/**
 * Plants bugs in copies of the source and prints what notices each: which tests, and for bugs that there were the first
 * seed of the simulation that breaks. Exits 1 when one survives. With a text only those mutants whose names have it.
 *
 *     npm run mutants -- [TEXT]
 */
import { breaches, catchers, MUTANTS, WORLD_MUTANTS } from "../test/model/mutants.ts";

const FILES = [
  "test/unit/outer/fold.test.ts",
  "test/unit/outer/lineage.test.ts",
  "test/unit/outer/lineage.property.test.ts",
  "test/model/search.test.ts",
];
const SEEDS = "1-300";
const [, , named = ""] = process.argv;

function report(name: string, found: string, lines: string[]): void {
  console.log(`${name}: ${lines.length === 0 ? "SURVIVES" : found}`);
  for (const line of lines) console.log(`  ${line}`);
  if (lines.length === 0) process.exitCode = 1;
}

for (const mutant of MUTANTS.filter(({ name }) => name.includes(named))) {
  const caught = await catchers(mutant, FILES);
  report(mutant.name, `caught by ${caught.length} tests`, caught);
}
for (const mutant of WORLD_MUTANTS.filter(({ name }) => name.includes(named)))
  report(mutant.name, "found by the simulation", await breaches(mutant, SEEDS));
