import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

const root = new URL("../../../", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), "utf8");
const manifest: Record<
  "dependencies" | "optionalDependencies" | "devDependencies" | "scripts",
  Record<string, string>
> = JSON.parse(read("package.json"));
const packages = {
  ...manifest.dependencies,
  ...manifest.optionalDependencies,
  ...manifest.devDependencies,
};

test("CONTRIBUTING.md gives a reason for every dependency, and for no other package", () => {
  const table = read("CONTRIBUTING.md").split("| package")[1] ?? "";
  const rows = [...table.matchAll(/^\| `([^`]+)` *\| *([^|]*?) *\|$/gm)];
  const names = Object.keys(packages);
  assert.deepEqual(new Set(rows.map(([, name]) => name)), new Set(names));
  assert.equal(rows.length, names.length);
  for (const [, name, reason] of rows) assert.ok(reason!.length > 5, `${name} has no reason`);
});

test("every version is exact", () => {
  for (const [name, version] of Object.entries(packages))
    assert.match(version, /^(npm:[a-z-]+@)?\d+\.\d+\.\d+/, name);
});

for (const file of ["README.md", "CONTRIBUTING.md", ".ci/run"])
  test(`${file} names only scripts and files that exist`, () => {
    const text = read(file);
    for (const [, script] of text.matchAll(/\bnpm run ([a-z:-]+)/g))
      assert.ok(manifest.scripts[script!], `npm run ${script}`);
    for (const [, path] of text.matchAll(/\]\(([^)#:]+)\)/g))
      assert.ok(existsSync(new URL(path!, root)), path);
  });
