/** Planted bugs: the production source with one change each, in a folder of its own, and the tests that notice. */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

export interface Mutant {
  name: string;
  /** Exact texts of the source, each there once, and what stands there instead. */
  edits: { file: string; from: string; to: string }[];
}

export const MUTANTS: Mutant[] = [
  {
    name: "a fold in arrival order",
    edits: [
      {
        file: "src/outer/fold.ts",
        from: "const order = init.contributions.toSorted(compareContributions);",
        to: "const order = [...init.contributions];",
      },
    ],
  },
  {
    name: "a double fold",
    edits: [
      {
        file: "src/outer/history.ts",
        from: "return this.#foldersOf(contribution).some(({ folder }) => descends(at, folder));",
        to: "return false;",
      },
      {
        file: "src/outer/history.ts",
        from: "for (const cid of at.version.contributions) open.delete(cid.toString());",
        to: "{}",
      },
    ],
  },
  {
    name: "a head outside the lineage",
    edits: [
      {
        file: "src/outer/lineage.ts",
        from: "const missing = this.#insertVersion(version);\n    if",
        to: "const missing = this.#insertVersion(version);\nif (missing !== undefined) this.#head = { ...this.#head, version };\nif",
      },
    ],
  },
  {
    name: "an ignored late contribution",
    edits: [
      {
        file: "src/outer/judgement.ts",
        from: "const reason = objection(contribution, grounds, authors);",
        to: "if (grounds.staleness(contribution) > 0) continue;\nconst reason = objection(contribution, grounds, authors);",
      },
    ],
  },
  {
    name: "a head by arrival",
    edits: [
      {
        file: "src/outer/fork-choice.ts",
        from: "else if (isBetter(branch, this.#head) && !this.#isHidden(branch)) this.#head = branch;",
        to: "else if (branch.version.generation > this.#head.version.generation) this.#head = branch;",
      },
    ],
  },
];

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Names of the tests in these files that fail with the mutant; none means that it survives. */
export async function catchers(mutant: Mutant, files: string[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "pathweave-mutant-"));
  try {
    for (const name of ["package.json", "src", "test/unit/outer", "test/model"])
      await cp(join(root, name), join(folder, name), { recursive: true });
    await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    for (const edit of mutant.edits) await apply(folder, edit);
    return failures(await runTests(folder, files));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function apply(folder: string, { file, from, to }: Mutant["edits"][number]): Promise<void> {
  const source = await readFile(join(folder, file), "utf8");
  const [before, after, ...more] = source.split(from);
  if (after === undefined || more.length > 0)
    throw new Error(
      `${file} has ${more.length === 0 ? "no" : "more than one"} "${from}"; plant the bug in what is there now.`,
    );
  await writeFile(join(folder, file), before + to + after);
}

/** The TAP report of test files. */
async function runTests(folder: string, files: string[]): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--test", "--test-reporter=tap", ...files], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const report = await text(child.stdout);
  // A file that does not load catches nothing; a whole file is reported by its path.
  if (/^not ok .*\.test\.ts$/m.test(report) || !/^# tests [1-9]/m.test(report))
    throw new Error(`Not all tests ran:\n${report}`);
  return report;
}

/** The failed tests of a TAP report; a suite is reported after its tests, with less indentation. */
function failures(report: string): string[] {
  const lines = [...report.matchAll(/^( *)not ok \d+ - (.*)$/gm)].map(([, indent, name]) => ({
    depth: indent!.length,
    name: name!,
  }));
  return lines.filter(({ depth }, index) => (lines[index - 1]?.depth ?? 0) <= depth).map(({ name }) => name);
}
