/**
 * Imports point down only (CONTRIBUTING.md, "Layers"). This test reads the imports of every source file;
 * planted sources prove that it notices each kind of wrong one.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, posix, sep } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const BASE = ["base", "objects", "methods", "run"];
const LEARNING = ["data", "model", "engine", "routing"];
const NETWORK = ["net", "store"];

interface Layer {
  files: RegExp;
  /** Layers it may import, besides itself. */
  values: string[];
  /** Layers of which it may import types with `import type`. */
  types?: string[];
}

/** From the bottom up. */
const LAYERS: Record<string, Layer> = {
  base: {
    files:
      /^src\/(bounded-map|breath|clock|errors|installation|invocation|log|native-work|random|within)\.ts$/,
    values: [],
  },
  objects: { files: /^src\/objects\//, values: ["base"] },
  // Tables of methods that a configuration names: numbers in, numbers out.
  methods: {
    files: /^src\/(outer\/(optimizers|codecs)(\.ts|\/)|routing\/(methods(\.ts|\/)|(router|types)\.ts$))/,
    values: ["base", "objects"],
  },
  run: { files: /^src\/run\//, values: ["base", "objects", "methods"] },
  data: { files: /^src\/data\//, values: BASE },
  model: { files: /^src\/model\//, values: [...BASE, "data"] },
  engine: { files: /^src\/engine\//, values: [...BASE, "data", "model"] },
  routing: { files: /^src\/routing\//, values: [...BASE, "data", "model"], types: ["engine"] },
  net: { files: /^src\/net\//, values: BASE, types: ["store"] },
  store: { files: /^src\/store\//, values: BASE, types: ["net"] },
  plan: { files: /^src\/plan\//, values: BASE },
  outer: { files: /^src\/outer\//, values: [...BASE, "plan"], types: [...LEARNING, ...NETWORK] },
  swarm: { files: /^src\/swarm\//, values: [...BASE, "plan", "outer"], types: [...LEARNING, ...NETWORK] },
  // Runs peers under a virtual clock, with a network and a disk in memory, and has them audited; nothing but the command imports it.
  sim: {
    files: /^src\/sim\//,
    values: [...BASE, ...NETWORK, "plan", "outer", "swarm", "peer", "audit"],
  },
  // Shares nothing with the peer but the formats, so that no mistake of one hides in the other.
  audit: { files: /^src\/audit\//, values: ["base", "objects"] },
  // `src/peer.ts` wires everything below.
  peer: {
    files: /^src\/(peer\.ts$|peer\/)/,
    values: [...BASE, ...LEARNING, ...NETWORK, "plan", "outer", "swarm"],
  },
  // A trained model, and before it the making of one, with what the peer wires.
  use: {
    files: /^src\/use\//,
    values: [...BASE, ...LEARNING, ...NETWORK, "plan", "outer", "swarm", "peer"],
  },
  create: {
    files: /^src\/create\//,
    values: [...BASE, ...LEARNING, ...NETWORK, "plan", "outer", "swarm", "peer", "use"],
  },
  library: {
    files: /^src\/index\.ts$/,
    values: [...BASE, ...LEARNING, ...NETWORK, "plan", "swarm", "peer", "use", "create"],
  },
  // What both programs share; light, so that `--help` and the bootstrap node load neither tfjs nor Helia.
  terminal: {
    files: /^node\/(command-line|environment|leave|options|output|shutdown|table)\.ts$/,
    values: BASE,
  },
  node: {
    files: /^node\//,
    values: [
      ...BASE,
      ...LEARNING,
      ...NETWORK,
      "plan",
      "outer",
      "swarm",
      "sim",
      "audit",
      "peer",
      "use",
      "create",
      "terminal",
    ],
  },
  bootstrap: { files: /^bootstrap\//, values: [...BASE, "net", "plan", "outer", "swarm", "terminal"] },
};

/** Packages that only these layers may import, even as types. */
const PACKAGES: { packages: RegExp; layers: string[] }[] = [
  { packages: /^@tensorflow\//, layers: ["model", "engine", "routing"] },
  { packages: /^onnx/, layers: ["engine"] },
  { packages: /^(helia|@helia\/|blockstore-)/, layers: ["store"] },
  // Keys, peer ids and their types sign objects, so `objects` has them, too.
  {
    packages: /^(libp2p|@libp2p\/)/,
    layers: ["objects", "net", "store", "outer", "swarm", "sim", "peer", "node", "bootstrap"],
  },
];

/** Each is constructed in exactly one file. */
const CONSTRUCTED: [string, RegExp][] = [
  ["a libp2p node", /\bcreateLibp2p\s*(<[^>]*>)?\(/],
  ["a Helia node", /\b(createHelia\w*|new Helia\w*)\s*(<[^>]*>)?\(/],
  ["an ONNX Runtime session", /\bInferenceSession\.create\s*\(/],
  ["a tfjs backend", /\b(registerBackend|setBackend)\s*\(/],
];

/** What but for the driver of the simulation knows of time and chance only what a clock and a stream from outside say, so that a simulation can be both. */
const TIMELESS = /^src\/(swarm|outer|plan|store\/(?!atomic-file\.ts)|sim\/world\/(?!timeline\.ts))/;
const OWN_TIME =
  /\bperformance\.now|\bDate\.now|\bnew Date\(\)|\b(set|clear)(Timeout|Interval|Immediate)\b|\bMath\.random|\bAbortSignal\.timeout|\btimers\/promises|\brandom(UUID|Bytes|Int)\b|\bgetRandomValues\b|\bsystemClock\b/;

/** What the bootstrap node must not load, however indirectly. */
const HEAVY = /^(@tensorflow\/|onnx|helia$|@helia\/)/;

interface Import {
  /** A package, or a file from the root. */
  target: string;
  typeOnly: boolean;
}

function withoutComments(source: string): string {
  const token = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return source.replaceAll(token, (_, text: string | undefined) => text ?? "");
}

/** Static and dynamic imports, re-exports, and worker threads; a process of its own is no import. */
function importsOf(file: string, source: string): Import[] {
  const code = withoutComments(source);
  const statement = /^[ \t]*(?:import|export)\s+(type\s+)?(?:[\w*$\s{},]+?\sfrom\s+)?["']([^"'\n]+)["']/gm;
  const expression =
    /\b(?:import|require)\(\s*["']([^"'\n]+)["']|\bnew Worker\(\s*(?:new URL|moduleUrl)\(\s*["']([^"'\n]+\.[cm]?[jt]s)["']/g;
  const found: Import[] = [];
  for (const [, type, target] of code.matchAll(statement))
    found.push({ target: target!, typeOnly: type !== undefined });
  for (const [, target, url] of code.matchAll(expression))
    found.push({ target: target ?? url!, typeOnly: false });
  return found.map(({ target, typeOnly }) => ({
    target: target.startsWith(".") ? posix.join(posix.dirname(file), target) : target,
    typeOnly,
  }));
}

function layerOf(file: string): string | undefined {
  return Object.keys(LAYERS).find((name) => LAYERS[name]!.files.test(file));
}

function isFile(target: string): boolean {
  return /^(src|node|bootstrap)\//.test(target);
}

/** Every wrong import of a source tree, one line each. */
function wrongImports(files: ReadonlyMap<string, string>): string[] {
  const wrong: string[] = [];
  for (const [file, source] of files) {
    const name = layerOf(file);
    if (name === undefined) {
      wrong.push(`${file} belongs to no layer`);
      continue;
    }
    const layer = LAYERS[name]!;
    for (const { target, typeOnly } of importsOf(file, source)) {
      if (!isFile(target)) {
        if (PACKAGES.some(({ packages, layers }) => packages.test(target) && !layers.includes(name)))
          wrong.push(`${file} (${name}) must not import ${target}`);
        continue;
      }
      const other = layerOf(target);
      const allowed =
        other === name ||
        (other !== undefined &&
          (layer.values.includes(other) || (typeOnly && (layer.types ?? []).includes(other))));
      if (!allowed) wrong.push(`${file} (${name}) must not import ${target} (${other ?? "no layer"})`);
    }
  }
  return wrong;
}

/** Files that construct what only one file may. */
function constructors(files: ReadonlyMap<string, string>, pattern: RegExp): string[] {
  return [...files].filter(([, source]) => pattern.test(withoutComments(source))).map(([file]) => file);
}

/** Chains of imports from the bootstrap node to something heavy. */
function heavyChains(files: ReadonlyMap<string, string>): string[] {
  const chains: string[] = [];
  const seen = new Set<string>();
  const visit = (file: string, chain: string[]): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { target, typeOnly } of importsOf(file, files.get(file) ?? "")) {
      if (typeOnly) continue;
      if (isFile(target)) visit(target, [...chain, target]);
      else if (HEAVY.test(target)) chains.push([...chain, target].join(" → "));
    }
  };
  for (const file of files.keys()) if (file.startsWith("bootstrap/")) visit(file, [file]);
  return chains;
}

/** Files of a layer without time that keep their own. */
function ownTime(files: ReadonlyMap<string, string>): string[] {
  return [...files]
    .filter(([file, source]) => TIMELESS.test(file) && OWN_TIME.test(withoutComments(source)))
    .map(([file]) => file);
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const tree = new Map(
  globSync("{src,node,bootstrap}/**/*.ts", { cwd: root })
    .filter((file) => !file.endsWith(".d.ts"))
    .map((file) => [file.split(sep).join("/"), readFileSync(join(root, file), "utf8")]),
);

test("imports point down only", () => {
  assert.ok(tree.size > 50, "the source tree was found");
  assert.deepEqual(wrongImports(tree), []);
});

test("every import of a file has a file", () => {
  const missing = [...tree].flatMap(([file, source]) =>
    importsOf(file, source)
      .filter(({ target }) => isFile(target) && target.endsWith(".ts") && !tree.has(target))
      .map(({ target }) => `${file}: ${target}`),
  );
  assert.deepEqual(missing, []);
});

test("time and chance come from outside", () => {
  assert.deepEqual(ownTime(tree), []);
});

for (const source of [
  "const now = performance.now();",
  "const today = Date.now();",
  "setTimeout(next, 1);",
  'import { setTimeout as delay } from "node:timers/promises";',
  "const index = Math.floor(Math.random() * 3);",
  "const signal = AbortSignal.timeout(1);",
  "endsWithin(1, task, systemClock);",
])
  test(`a clock or a die of one's own would be noticed: ${source}`, () => {
    assert.deepEqual(ownTime(new Map([["src/swarm/a.ts", source]])), ["src/swarm/a.ts"]);
    assert.deepEqual(ownTime(new Map([["src/swarm/a.ts", `// ${source}`]])), []);
  });

for (const [what, pattern] of CONSTRUCTED)
  test(`${what} is constructed in exactly one file`, () => {
    const files = constructors(tree, pattern);
    assert.equal(files.length, 1, files.join(", ") || "in none");
  });

test("the bootstrap node loads neither tfjs, nor ONNX Runtime, nor Helia", () => {
  assert.ok(
    [...tree.keys()].some((file) => file.startsWith("bootstrap/")),
    "there is a bootstrap node",
  );
  assert.deepEqual(heavyChains(tree), []);
});

const planted: [string, string, string][] = [
  ["an upward import", "src/run/a.ts", `import { x } from "../outer/fold.ts";`],
  ["a sideways import", "src/net/a.ts", `import { x } from "../store/helia.ts";`],
  ["learning that imports the network", "src/engine/a.ts", `import { x } from "../net/network.ts";`],
  [
    "learning that imports the network's types",
    "src/model/a.ts",
    `import type { Network } from "../net/types.ts";`,
  ],
  [
    "the network that imports learning's types",
    "src/store/a.ts",
    `import type { Engine } from "../engine/types.ts";`,
  ],
  ["a value among types", "src/swarm/a.ts", `import { type Store, open } from "../store/types.ts";`],
  [
    "a type that is imported as a value",
    "src/outer/a.ts",
    `import { type Engine } from "../engine/types.ts";`,
  ],
  ["a re-export", "src/objects/a.ts", `export * from "../run/types.ts";`],
  [
    "a re-export of names over several lines",
    "src/objects/a.ts",
    `export {\n  a,\n  b as c,\n} from '../run/types.ts';`,
  ],
  ["an import for its effect", "src/outer/a.ts", `import "../engine/backends.ts";`],
  ["a dynamic import", "src/swarm/a.ts", `const x = await import("../engine/thread.ts");`],
  ["a worker", "src/swarm/a.ts", `new Worker(moduleUrl("../engine/worker.ts", import.meta.url));`],
  ["the base that imports anything", "src/errors.ts", `import { x } from "./objects/object.ts";`],
  ["a peer that imports the daemon", "src/peer.ts", `import { x } from "../node/output.ts";`],
  ["a peer that creates", "src/peer/a.ts", `import { x } from "../create/create.ts";`],
  ["a model that creates", "src/use/a.ts", `import { x } from "../create/create.ts";`],
  ["a bootstrap node that imports the daemon", "bootstrap/a.ts", `import { x } from "../node/pathweave.ts";`],
  [
    "an auditor that uses the peer's fold",
    "src/audit/a.ts",
    `import { createFold } from "../outer/fold.ts";`,
  ],
  [
    "an auditor that knows the peer's types",
    "src/audit/a.ts",
    `import type { Store } from "../store/types.ts";`,
  ],
  [
    "an auditor that reads with the peer's library",
    "src/audit/a.ts",
    `import { FsBlockstore } from "blockstore-fs";`,
  ],
  ["a peer that uses the auditor", "src/swarm/a.ts", `import { auditDisks } from "../audit/audit.ts";`],
  ["tfjs in the swarm", "src/swarm/a.ts", `import * as tf from "@tensorflow/tfjs-core";`],
  ["tfjs in the store", "src/store/a.ts", `import type { Tensor } from "@tensorflow/tfjs-core";`],
  ["libp2p in the data", "src/data/a.ts", `import { peerIdFromString } from "@libp2p/peer-id";`],
  ["Helia in the network", "src/net/a.ts", `import { createHelia } from "helia";`],
  ["ONNX Runtime in the model", "src/model/a.ts", `import ort from "onnxruntime-node";`],
  ["a file outside every layer", "src/misc/a.ts", ""],
];
for (const [name, file, source] of planted)
  test(`${name} would be noticed`, () => {
    assert.equal(wrongImports(new Map([[file, source]])).length, 1);
  });

test("right imports, comments and texts are passed over", () => {
  const sources = new Map([
    [
      "src/swarm/a.ts",
      `import type { Engine } from "../engine/types.ts";\nimport { createFold } from "../outer/fold.ts";`,
    ],
    [
      "src/net/a.ts",
      `/** import { x } from "../engine/a.ts" */\n// import "../store/a.ts"\nconst s = "a/**/*"; import("./b.ts");`,
    ],
    ["src/peer.ts", `import { a } from "./engine/thread.ts";\nimport { b } from "./net/network.ts";`],
  ]);
  assert.deepEqual(wrongImports(sources), []);
});

test("a comment or a glob does not hide the import after it", () => {
  const source = `const globs = ["a/**/*.ts"];\n/* x */ import { y } from "../engine/a.ts";\nconst z = "*/";`;
  assert.equal(wrongImports(new Map([["src/net/a.ts", source]])).length, 1);
});

test("a second constructor, and an indirect heavy import, would be noticed", () => {
  const [, libp2p] = CONSTRUCTED[0]!;
  const twice = new Map([
    ["src/net/a.ts", "const node = await createLibp2p<S>({});"],
    ["src/peer.ts", "return createLibp2p(options);"],
    ["src/net/b.ts", "// createLibp2p({}) is called elsewhere"],
  ]);
  assert.deepEqual(constructors(twice, libp2p), ["src/net/a.ts", "src/peer.ts"]);
  const chain = new Map([
    ["bootstrap/a.ts", `import { x } from "../src/net/a.ts";`],
    ["src/net/a.ts", `import type { Helia } from "helia";\nexport { y } from "./b.ts";`],
    ["src/net/b.ts", `import "@helia/bitswap";`],
  ]);
  assert.deepEqual(heavyChains(chain), ["bootstrap/a.ts → src/net/a.ts → src/net/b.ts → @helia/bitswap"]);
});
