import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isCheckout, moduleUrl, packageFolders, program, root, version } from "../../src/installation.ts";

const PROJECT = path.join(import.meta.dirname, "../..");

test("a checkout knows its root, its version and where its packages lie", () => {
  assert.equal(isCheckout, true);
  assert.equal(root, PROJECT);
  assert.equal(program, path.join(PROJECT, "node", "launch.js"));
  assert.ok(existsSync(program));
  assert.equal(version, JSON.parse(readFileSync(path.join(PROJECT, "package.json"), "utf8")).version);
  assert.deepEqual(packageFolders(), [path.join(PROJECT, "node_modules")]);
});

test("a module of a thread or process is found beside the one that asks", () => {
  assert.equal(
    fileURLToPath(moduleUrl("../src/engine/worker.ts", import.meta.url)),
    path.join(PROJECT, "test/src/engine/worker.ts"),
  );
});

// A path of its own would be right in a checkout only. The name of a package is right everywhere.
const HERE = /import\.meta\.(?!resolve\("[^.])\w+/g;
const ASKS = /moduleUrl\(\s*"(\.[^"]+\.ts)",\s*import\.meta\.url\s*,?\s*\)/g;

test("no module but installation.ts knows where it lies", () => {
  for (const file of globSync("{src,node,bootstrap}/**/*.ts", { cwd: PROJECT })) {
    const source = readFileSync(path.join(PROJECT, file), "utf8").replaceAll(/^ *(\*|\/\/).*$/gm, "");
    const asked = [...source.matchAll(ASKS)].map(([, module]) => path.join(path.dirname(file), module!));
    for (const module of asked)
      assert.ok(existsSync(path.join(PROJECT, module)), `${file} asks for ${module}`);
    if (file !== path.join("src", "installation.ts"))
      assert.equal(source.match(HERE)?.length ?? 0, asked.length, `${file} finds files by itself`);
  }
});
