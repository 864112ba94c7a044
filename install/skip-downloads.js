// Runs before any other install script when this package is installed, with whatever Node.js npm runs on.
//
// On Linux the install script of onnxruntime-node downloads CUDA libraries (hundreds of MB) from NuGet, and fails the
// whole installation where NuGet cannot be reached. It ends early where the files are there already. So each gets a
// note in its place, which says how to have the file itself. Only CUDA needs them.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const platform = `${process.platform}/${process.arch}`;
const { env } = process;

/** The project into which we are installed may want ONNX Runtime, and its downloads, for itself. */
function isWantedByOthers() {
  if (env.ONNXRUNTIME_NODE_INSTALL || env.npm_config_onnxruntime_node_install) return true;
  const project = path.join(env.npm_config_local_prefix ?? "", "package.json");
  if (env.npm_config_global === "true" || !existsSync(project)) return false;
  const { name, dependencies, devDependencies } = JSON.parse(readFileSync(project, "utf8"));
  return name !== "pathweave" && "onnxruntime-node" in { ...dependencies, ...devDependencies };
}

function skipDownloads() {
  const folder = path.dirname(require.resolve("onnxruntime-node/package.json"));
  const { requirements, manifests } = require("onnxruntime-node/script/install-metadata.js");
  for (const name of requirements[platform] ?? [])
    for (const file of Object.keys(manifests[`${platform}:${name}`])) {
      const target = path.join(folder, "bin/napi-v6", platform, file);
      const note = `Not downloaded. For CUDA, run: node ${path.join(folder, "script/install.js")} --onnxruntime-node-install=${name}\n`;
      if (!existsSync(target)) writeFileSync(target, note);
    }
}

try {
  if (!isWantedByOthers()) skipDownloads();
} catch {
  // Absent, as in a fresh clone, or laid out otherwise: its own install script decides.
}
