/** How the user runs Pathweave, so that every command that is suggested works where the user is. */
import { accessSync, constants } from "node:fs";
import { delimiter, join, relative, sep } from "node:path";
import { isCheckout, program, root } from "./installation.ts";

/** The folder of a peer when no other is named. */
export const DEFAULT_DATA = ".pathweave";

const IN_CHECKOUT = "npm run pathweave --";
const IN_PROJECT = "npx pathweave";

/** What `invocationOf` looks at. */
export interface Surroundings {
  /** The folder of the package. */
  root: string;
  /** The file that runs it. */
  program: string;
  cwd: string;
  environment: Record<string, string | undefined>;
  /** Whether a file can be run. */
  isExecutable(file: string): boolean;
}

/**
 * What comes before the command: `pathweave` when it is on the PATH, `npx pathweave` in a project that it is installed in,
 * `npm run pathweave --` in a checkout, and Node.js with a file elsewhere. Pure.
 */
export function invocationOf({ root, program, cwd, environment, isExecutable }: Surroundings): string {
  // npm puts folders on the PATH of what it runs, and they are gone afterwards.
  const lasting = (environment["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "" && !folder.includes(join("node_modules", ".bin")));
  if (lasting.some((folder) => isExecutable(join(folder, "pathweave")))) return "pathweave";
  const folders = root.split(sep);
  const packages = folders.indexOf("node_modules");
  const project = packages < 0 ? root : folders.slice(0, packages).join(sep);
  if (!isBelow(project, cwd)) return `node ${quoted(program)}`;
  return packages < 0 ? IN_CHECKOUT : IN_PROJECT;
}

function isBelow(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || !(way === ".." || way.startsWith(`..${sep}`));
}

const here = (): string =>
  invocationOf({
    root,
    program,
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
  const there = isCheckout ? IN_CHECKOUT : IN_PROJECT;
  return [prefix.startsWith("node ") ? there : prefix, words, ...values.map(quoted)].join(" ");
}

/** The words that name a folder of a peer in a command to suggest; none for the one that is the default. */
export function dataFlag(data: string): string[] {
  return data === DEFAULT_DATA ? [] : ["--data", data];
}

/** One word to a shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./…-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
