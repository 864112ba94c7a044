import { ManifestError } from "../errors.ts";

/** Something wrong with a run configuration: where, and what would be right. */
export interface Problem {
  /** Keys from the root of the configuration, e.g. `["levels", 0, "parts"]`. */
  path: readonly PropertyKey[];
  /** One sentence that starts with the key's name and says what is expected. */
  message: string;
}

/** A key as people write it: `levels[0].parts`. */
export function keyName(path: readonly PropertyKey[]): string {
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : `${at === 0 ? "" : "."}${String(key)}`))
    .join("");
}

/** Throws a ManifestError with one line per problem; `where` prefixes each line. Does nothing without problems. */
export function throwProblems<P extends Problem>(
  problems: readonly P[],
  where: (problem: P) => string = () => "The run's configuration is wrong: ",
): void {
  if (problems.length === 0) return;
  throw new ManifestError(problems.map((problem) => where(problem) + problem.message).join("\n"));
}
