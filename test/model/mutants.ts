/**
 * Planted bugs: the production source with one change each, in a folder of its own, and what notices: tests, or the first
 * seed of the simulation that breaks.
 */
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

/** A bug that the simulation finds. */
export interface WorldMutant extends Mutant {
  /** The first seed that finds it, once it was looked for. */
  seed?: number;
  /** Each seed is lived twice, and the two have to be the same. */
  twice?: boolean;
  /** In a world where some disks are slow and some are small. */
  poorDisks?: boolean;
}

const IGNORED_LATE: Mutant["edits"] = [
  {
    file: "src/outer/judgement.ts",
    from: "const reason = objection(contribution, grounds, authors);",
    to: "if (grounds.staleness(contribution) > 0) continue;\nconst reason = objection(contribution, grounds, authors);",
  },
];

/** For the unit tests and the exhaustive search. */
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
    edits: IGNORED_LATE,
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

/** Bugs that there were, for the simulation. */
export const WORLD_MUTANTS: WorldMutant[] = [
  {
    name: "outer gradients that are released by round",
    seed: 1,
    poorDisks: true,
    edits: [
      {
        file: "src/swarm/modules/retention.ts",
        from: 'if (kind === "version" ? Number(number) >= oldest : !isSettled(lineage, cid!)) continue;',
        to: "if (Number(number) >= oldest || (kind !== 'version' && lineage.pending().some((known) => known.cid.toString() === cid))) continue;",
      },
    ],
  },
  {
    name: "two sweeps that do not know of each other",
    seed: 1,
    poorDisks: true,
    edits: [
      {
        file: "src/store/retention.ts",
        from: "const touched = new Map<string, number>();",
        to: "const touched = new Map<string, number>();\nlet last = Number.NEGATIVE_INFINITY;",
      },
      {
        file: "src/store/retention.ts",
        from: "const old = clock.now() - youngMs;",
        to: "const old = last;\nlast = clock.now();",
      },
    ],
  },
  { name: "a fold that forgets late work", seed: 56, edits: IGNORED_LATE },
  {
    name: "a measurement by the real clock",
    seed: 1,
    twice: true,
    edits: [
      {
        file: "src/swarm/sync/anti-entropy.ts",
        from: "const began = clock.now();",
        to: "const began = performance.now();",
      },
      {
        file: "src/swarm/sync/anti-entropy.ts",
        from: "Math.round(clock.now() - began)",
        to: "Math.round(1000 * (performance.now() - began))",
      },
    ],
  },
  {
    name: "a timer of the real clock",
    edits: [
      {
        file: "src/swarm/swarm.ts",
        from: 'tasks.every(antiEntropySeconds * 1000, () => {\n      reconciler.askAny();\n      tasks.run("writing the lineage", () => this.#parts.flush());\n    });',
        to: 'setInterval(() => {\n      reconciler.askAny();\n      tasks.run("writing the lineage", () => this.#parts.flush());\n    }, antiEntropySeconds * 1000).unref();',
      },
    ],
  },
  {
    name: "contributions that are retained before their records are",
    seed: 1,
    poorDisks: true,
    edits: [
      {
        file: "src/swarm/rounds/contributing.ts",
        from: "await records.flush(async () => {\n      for (const record of opened) intake.add(record, self);\n      return retain;\n    });",
        to: "const { store } = init as any;\nawait store.put(contributions);\nawait store.retainTogether(retain);\nfor (const record of opened) intake.add(record, self);",
      },
    ],
  },
];

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Names of the tests in these files that fail with the mutant; none means that it survives. */
export function catchers(mutant: Mutant, files: string[]): Promise<string[]> {
  return planted(mutant, async (folder) => failures(await runTests(folder, files)));
}

/** What the simulation says is broken with the mutant, in the first seed of a range that breaks; none means that it survives. */
export function breaches(mutant: Omit<WorldMutant, "seed">, seeds: string): Promise<string[]> {
  return planted(mutant, async (folder) => {
    const flags = ["--seeds", seeds, "--first", "--json", "--workers", "1"];
    if (mutant.twice === true) flags.push("--twice");
    if (mutant.poorDisks === true) flags.push("--poor-disks");
    const sum = await output(folder, ["scripts/simulate.ts", ...flags]);
    return (JSON.parse(sum) as { broken: string[] }).broken;
  });
}

/** Uses a folder with a copy of the source that has the mutant in it. */
async function planted<T>({ edits }: Mutant, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "pathweave-mutant-"));
  try {
    for (const name of [
      "package.json",
      "src",
      "scripts/simulate.ts",
      "scripts/simulate",
      "test/unit/outer",
      "test/model",
    ])
      await cp(join(root, name), join(folder, name), { recursive: true });
    await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
    for (const edit of edits) await apply(folder, edit);
    return await use(folder);
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
  const report = await output(folder, ["--test", "--test-reporter=tap", ...files]);
  // A file that does not load catches nothing; a whole file is reported by its path.
  if (/^not ok .*\.test\.ts$/m.test(report) || !/^# tests [1-9]/m.test(report))
    throw new Error(`Not all tests ran:\n${report}`);
  return report;
}

/** What Node.js writes in a folder. */
function output(folder: string, args: string[]): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ["ignore", "pipe", "ignore"] });
  return text(child.stdout);
}

/** The failed tests of a TAP report; a suite is reported after its tests, with less indentation. */
function failures(report: string): string[] {
  const lines = [...report.matchAll(/^( *)not ok \d+ - (.*)$/gm)].map(([, indent, name]) => ({
    depth: indent!.length,
    name: name!,
  }));
  return lines.filter(({ depth }, index) => (lines[index - 1]?.depth ?? 0) <= depth).map(({ name }) => name);
}
