import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const manifest: Record<"dependencies" | "devDependencies" | "scripts", Record<string, string>> = JSON.parse(
  read("package.json"),
);

test("CONTRIBUTING.md gives a reason for every dependency, and for no other package", () => {
  const table = read("CONTRIBUTING.md").split("| package")[1] ?? "";
  const rows = [...table.matchAll(/^\| `([^`]+)` *\| *([^|]*?) *\|$/gm)];
  const packages = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)];
  assert.deepEqual(new Set(rows.map(([, name]) => name)), new Set(packages));
  assert.equal(rows.length, packages.length);
  for (const [, name, reason] of rows) assert.ok(reason!.length > 5, `${name} has no reason`);
});

test("every version is exact", () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    assert.match(version, /^\d+\.\d+\.\d+/, name);
});

for (const file of ["README.md", "CONTRIBUTING.md", ".ci/run"])
  test(`${file} names only scripts and files that exist`, () => {
    const text = read(file);
    for (const [, script] of text.matchAll(/\bnpm run ([a-z:-]+)/g))
      assert.ok(manifest.scripts[script!], `npm run ${script}`);
    for (const [, path] of text.matchAll(/\]\(([^)#:]+)\)/g))
      assert.ok(existsSync(new URL(path!, root)), path);
  });
