/** Plants bugs in copies of the source and prints which tests catch each; exits 1 when one survives. */
import { catchers, MUTANTS } from "../test/model/mutants.ts";

const FILES = [
  "test/unit/outer/fold.test.ts",
  "test/unit/outer/lineage.test.ts",
  "test/unit/outer/lineage.property.test.ts",
  "test/model/search.test.ts",
];

for (const mutant of MUTANTS) {
  const caught = await catchers(mutant, FILES);
  console.log(`${mutant.name}: ${caught.length === 0 ? "SURVIVES" : `caught by ${caught.length} tests`}`);
  for (const name of caught) console.log(`  ${name}`);
  if (caught.length === 0) process.exitCode = 1;
}
