/**
 * Where this program lies: TypeScript in a checkout, JavaScript below `dist` in an installed package, with the
 * packages it depends on below it or beside it. Everything that must find a file of ours or of theirs asks here.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

// The package's own name is the one path that is the same in both places.
const require = createRequire(import.meta.url);
const manifest = require("pathweave/package.json") as {
  version: string;
  dependencies: Record<string, string>;
};
const extension = path.extname(import.meta.filename);

/** The folder of this package. */
export const root: string = path.dirname(require.resolve("pathweave/package.json"));
/** The version of this package. */
export const version: string = manifest.version;

/** Whether this is a checkout, with `npm start` and the like, and not an installed package. */
export const isCheckout: boolean = extension === ".ts";

/** The program `pathweave`, for a Node.js that runs it. */
export const program: string = path.join(root, ...(isCheckout ? [] : ["dist"]), "node", "launch.js");

/**
 * The file of a module that runs in a thread or process of its own. `module` is written as an import is, such as
 * `./worker.ts`, and is relative to `asker`, an `import.meta.url`.
 */
export function moduleUrl(module: string, asker: string): URL {
  return new URL(module.replace(/\.ts$/, extension), asker);
}

/** A file of a package that this one depends on, by the package's name and the path below it. */
export function packageFile(name: string): string {
  return require.resolve(name);
}

/** Folders of packages that came with this one, nearest first: a `node_modules`, or several after a flat install. */
export function packageFolders(): string[] {
  // In an installed package, texts of packages that only a checkout has.
  const folders = isCheckout ? [] : [path.join(root, "dist", "packages")];
  for (const name of Object.keys(manifest.dependencies)) {
    const candidates = require.resolve.paths(name) ?? [];
    const folder = candidates.find((candidate) => existsSync(path.join(candidate, name)));
    if (folder !== undefined && !folders.includes(folder)) folders.push(folder);
  }
  return folders;
}
