// Plain JavaScript, since a Node.js that is too old for Pathweave cannot even read its TypeScript.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

/**
 * Runs a program, or says that this Node.js is too old for it.
 *
 * @param {string} name its command
 * @param {string} script runs it in a checkout, with the Node.js that came with the packages
 * @param {() => Promise<unknown>} load imports its module
 */
export async function launch(name, script, load) {
  const { engines } = createRequire(import.meta.url)("pathweave/package.json");
  const needed = engines.node.replace(/[^0-9.]/g, "");
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [neededMajor, neededMinor] = needed.split(".").map(Number);
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) {
    await load();
    return;
  }
  // An installed package has no scripts.
  const isCheckout = existsSync(new URL("./installation.ts", import.meta.url));
  const ours = isCheckout ? `run it with "npm run ${script} --", which brings its own Node.js, or ` : "";
  console.error(
    `${name}: Node.js ${process.versions.node} is too old; ${ours}install Node.js ${needed} or later.`,
  );
  process.exitCode = 1;
}
