/**
 * The test of the package with another Node.js: `npm run interop:package -- 24`. The version comes from the registry,
 * as the package `node`, into a temporary folder.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const [version = "24"] = process.argv.slice(2);
const folder = mkdtempSync(path.join(tmpdir(), "pathweave-node-"));
try {
  // npm 11 and later run the script that puts the binary in place only for packages that are named here.
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ allowScripts: { node: true } }));
  execFileSync("npm", ["install", `node@${version}`, "--no-audit", "--no-fund"], {
    cwd: folder,
    stdio: "inherit",
  });
  const node = path.join(folder, "node_modules/node/bin/node");
  process.stdout.write(`Node.js ${execFileSync(node, ["--version"], { encoding: "utf8" })}`);
  const test = path.join(import.meta.dirname, "../../test/e2e/package.test.ts");
  const { status } = spawnSync(node, ["--test", "--test-reporter=spec", test], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
