/** How the user runs Pathweave, so that every command that is suggested works where the user is. */
import { accessSync, constants } from "node:fs";
import { delimiter, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const IN_CHECKOUT = "npm run pathweave --";

/** What `invocationOf` looks at. */
export interface Surroundings {
  /** The folder of the package. */
  root: string;
  cwd: string;
  environment: Record<string, string | undefined>;
  /** Whether a file can be run. */
  isExecutable(file: string): boolean;
}

/**
 * What comes before the command: `pathweave` when it is on the PATH, `npx pathweave` when it is installed in a project,
 * `npm run pathweave --` in a checkout, and Node.js with a file elsewhere. Pure.
 */
export function invocationOf({ root, cwd, environment, isExecutable }: Surroundings): string {
  // npm puts folders on the PATH of what it runs, and they are gone afterwards.
  const lasting = (environment["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "" && !folder.includes(join("node_modules", ".bin")));
  if (lasting.some((folder) => isExecutable(join(folder, "pathweave")))) return "pathweave";
  if (root.split(sep).includes("node_modules")) return "npx pathweave";
  const below = relative(root, cwd);
  const isInside = below === "" || !(below === ".." || below.startsWith(`..${sep}`));
  return isInside ? IN_CHECKOUT : `node ${quoted(join(root, "node", "launch.js"))}`;
}

const here = (): string =>
  invocationOf({
    root: fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, ""),
    cwd: process.cwd(),
    environment: process.env,
    isExecutable: (file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
  });

/**
 * A command to suggest, such as `pathweaveCommand("join --data", folder)`: how the user runs Pathweave, then the words,
 * the last ones quoted for a shell where they need it.
 */
export function pathweaveCommand(words: string, ...values: string[]): string {
  return [here(), words, ...values.map(quoted)].join(" ");
}

/** The same for another machine, which has the files of this one nowhere. */
export function pathweaveCommandElsewhere(words: string, ...values: string[]): string {
  const prefix = here();
  return [prefix.startsWith("node ") ? IN_CHECKOUT : prefix, words, ...values.map(quoted)].join(" ");
}

/** One word to a shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./…-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
