/** What can be done with a trained model; `join` and `status` end with it. */
import { dataFlag, pathweaveCommand } from "../src/invocation.ts";

/** Lines of commands for the run in a folder, or in the default one. */
export function nextSteps(data: string): string[] {
  const where = dataFlag(data);
  const rows: [string, string][] = [
    ["write with it", pathweaveCommand('generate "Once upon a time"', ...where)],
    ["score it", pathweaveCommand("eval", ...where)],
    ["take it along", pathweaveCommand("export --path 0 --out ./model", ...where)],
  ];
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, command]) => `  ${what.padEnd(width)}  ${command}`);
}
