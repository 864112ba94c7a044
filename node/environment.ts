/** The environment mirrors the flags: `--log-level` is PATHWEAVE_LOG_LEVEL. A flag that is given wins. */
import { UsageError } from "../src/errors.ts";
import { nearestName } from "../src/run/nearest.ts";

const PREFIX = "PATHWEAVE_";
/** Settings of the other program, `pathweave-bootstrap`. */
const BOOTSTRAP_PREFIX = "PATHWEAVE_BOOTSTRAP_";

/** What a flag takes. */
export type FlagKind = "boolean" | "number" | "string" | "array";

/** `log-level` → `PATHWEAVE_LOG_LEVEL`. */
function variableOf(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll("-", "_");
}

/**
 * The values that the environment gives to the flags of a command. Variables of other commands' flags are
 * passed over; `othersFlags` is called only when there is a variable that this command does not know. Throws
 * UsageError for a variable of no flag, naming the nearest, and for a value of the wrong kind.
 */
export async function flagsFromEnvironment(
  environment: Record<string, string | undefined>,
  flags: ReadonlyMap<string, FlagKind>,
  othersFlags: () => Promise<Iterable<string>>,
): Promise<Record<string, unknown>> {
  const own = new Map([...flags].map(([flag, kind]) => [variableOf(flag), { flag, kind }]));
  const values: Record<string, unknown> = {};
  const strange: string[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || variable.startsWith(BOOTSTRAP_PREFIX) || text === undefined) continue;
    const target = own.get(variable);
    if (target === undefined) strange.push(variable);
    else values[target.flag] = convert(variable, text, target.kind);
  }
  if (strange.length === 0) return values;
  const all = new Set([...own.keys(), ...[...(await othersFlags())].map(variableOf)]);
  for (const variable of strange)
    if (!all.has(variable))
      throw new UsageError(
        `The environment variable ${variable} mirrors no flag; did you mean ${nearestName(variable, all) ?? "none"}? Rename or unset it.`,
      );
  return values;
}

function convert(variable: string, text: string, kind: FlagKind): unknown {
  if (kind === "string") return text;
  // Commas separate; no multiaddr or path of ours has one.
  if (kind === "array")
    return text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (kind === "number" && Number.isFinite(number)) return number;
  if (kind === "boolean" && ["true", "1"].includes(text)) return true;
  if (kind === "boolean" && ["false", "0"].includes(text)) return false;
  throw new UsageError(
    `${variable} is "${text.slice(0, 40)}"; expected ${kind === "number" ? "a number" : "true or false"}.`,
  );
}
