/**
 * Builds what the package holds (`npm pack` runs this): JavaScript and declarations, since Node.js strips no types
 * below node_modules, and the texts of the demo that come from packages which only a checkout has.
 */
import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { demoCorpus } from "../node/demo/corpus.ts";
import { packageFolders } from "../src/installation.ts";

const root = path.join(import.meta.dirname, "..");
const dist = path.join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiler = path.join(root, "node_modules/typescript/bin/tsc");
execFileSync(process.execPath, [compiler, "--project", path.join(root, "tsconfig.build.json")], {
  stdio: ["ignore", process.stderr, process.stderr],
});

const folders = packageFolders();
for (const { copied, patterns } of demoCorpus(folders))
  for (const file of copied ? patterns : []) {
    const folder = folders.find((candidate) => file.startsWith(candidate))!;
    cpSync(file, path.join(dist, "packages", path.relative(folder, file)));
  }
