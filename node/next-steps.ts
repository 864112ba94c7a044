/** What can be done with a trained model; `join`, `status` and `demo` end with it. */
import { dataFlag, pathweaveCommand } from "../src/invocation.ts";

/** Lines of commands for the run in a folder, or in the default one. Without peers that run there is nobody to score. */
export function nextSteps(data: string, { peersRun } = { peersRun: true }): string[] {
  const where = dataFlag(data);
  const rows: [string, string][] = [
    ["write with it", pathweaveCommand('generate "Once upon a time"', ...where)],
    ...(peersRun ? [["score it", pathweaveCommand("eval", ...where)] as [string, string]] : []),
    ["take it along", pathweaveCommand("export --path 0 --out ./model", ...where)],
  ];
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, command]) => `  ${what.padEnd(width)}  ${command}`);
}
