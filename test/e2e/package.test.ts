/**
 * The package as a user gets it: packed, installed from the registry into an empty folder with nothing of this
 * checkout in the environment, and used from there.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { glob, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { stringify } from "yaml";
import type * as localSwarm from "../../node/local-swarm.ts";
import type * as library from "../../src/index.ts";
import { PROJECT, tinyRun } from "./tiny-run.ts";
import { patient } from "../waits.ts";

const manifest = JSON.parse(readFileSync(path.join(PROJECT, "package.json"), "utf8")) as { version: string };
const bin = (name: string): string => path.join(PROJECT, "node_modules/.bin", name);

/**
 * As in a terminal: what npm tells the scripts of this checkout, such as its .npmrc, is not for the package. Where a
 * proxy with a certificate of its own stands before the registry, npm needs the terminal's NODE_EXTRA_CA_CERTS.
 */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => name === "NODE_EXTRA_CA_CERTS" || !/^(npm_|NODE_|PATHWEAVE_)/i.test(name),
  ),
);
environment["PATH"] = [
  path.dirname(process.execPath),
  ...(process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => !folder.includes("node_modules")),
].join(path.delimiter);

/** A folder that holds nothing but what each test puts there. */
let folder: string;
let tarball: string;
let packed: { files: { path: string }[]; unpackedSize: number; size: number };
let installSeconds: number;

async function run(command: string, args: string[], cwd = folder): Promise<string> {
  const options = { cwd, env: environment, timeout: 540_000, maxBuffer: 64 << 20 };
  const { stdout } = await promisify(execFile)(command, args, options);
  return stdout;
}

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "pathweave-package-"));
  const [pack] = JSON.parse(
    await run("npm", ["pack", "--json", "--silent", "--pack-destination", folder], PROJECT),
  ) as [typeof packed & { filename: string }];
  packed = pack;
  tarball = path.join(folder, pack.filename);
  await writeFile(path.join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const began = performance.now();
  await run("npm", ["install", tarball, "--prefer-offline", "--no-audit", "--no-fund"]);
  installSeconds = (performance.now() - began) / 1000;
});

after(() => rm(folder, { recursive: true, force: true }));

async function bytesBelow(directory: string): Promise<{ files: number; bytes: number }> {
  const total = { files: 0, bytes: 0 };
  for await (const entry of glob("**", { cwd: directory, withFileTypes: true }))
    if (entry.isFile()) {
      total.files++;
      total.bytes += (await stat(path.join(entry.parentPath, entry.name))).size;
    }
  return total;
}

test("holds the program and its types, and neither tests nor scripts nor sources", async (t) => {
  const files = packed.files.map((file) => file.path);
  const expected =
    /^(dist\/(src|node|bootstrap|packages)\/|install\/|docs\/run-file\.md$|[A-Z]+(\.md)?$|package\.json$)/;
  assert.deepEqual(
    files.filter((file) => !expected.test(file)),
    [],
  );
  assert.deepEqual(
    files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts")),
    [],
  );
  for (const file of [
    "dist/src/index.js",
    "dist/src/index.d.ts",
    "dist/src/engine/worker.js",
    "README.md",
    "LICENSE",
  ])
    assert.ok(files.includes(file), file);
  assert.ok(packed.size < 5e6, `${packed.size} bytes`);

  const { files: count, bytes } = await bytesBelow(path.join(folder, "node_modules"));
  t.diagnostic(
    `package: ${files.length} files, ${(packed.size / 1e6).toFixed(1)} MB packed, ${(packed.unpackedSize / 1e6).toFixed(1)} MB unpacked`,
  );
  t.diagnostic(
    `installed with all dependencies: ${count} files, ${(bytes / 1e6).toFixed(0)} MB, in ${installSeconds.toFixed(1)} s`,
  );
});

test("satisfies publint and arethetypeswrong", async () => {
  await run(bin("publint"), ["run", tarball, "--strict"]);
  await run(bin("attw"), [tarball, "--profile", "esm-only"]);
});

test("downloads nothing beside the packages", async () => {
  // What onnxruntime-node would download on Linux, hundreds of MB, is all named like this.
  const downloads = glob("node_modules/onnxruntime-node/bin/**/*onnxruntime_providers_*", { cwd: folder });
  for await (const file of downloads) assert.ok((await stat(path.join(folder, file))).size < 1000, file);
});

test("npx runs both commands", async () => {
  assert.equal((await run("npx", ["pathweave", "--version"])).trim(), manifest.version);
  assert.match(await run("npx", ["pathweave", "--help"]), /pathweave create <file>/);
  assert.match(await run("npx", ["pathweave-bootstrap", "--help"]), /--announce/);
});

/** The example in the library's documentation, on loopback. */
function example(): string {
  const source = readFileSync(path.join(PROJECT, "src/index.ts"), "utf8");
  const [, lines] = /```ts\n([^]*?)```/.exec(source)!;
  const code = lines!.replaceAll(/^ \* ?/gm, "");
  const listen = 'listen: ["/ip4/0.0.0.0/tcp/0"],';
  assert.ok(code.includes(listen));
  return code.replace(listen, 'listen: ["/ip4/127.0.0.1/tcp/0"], mdns: false,');
}

test("its types hold for the documented example, and for nothing wrong", async () => {
  const types = path.join(folder, "types");
  await mkdir(types);
  const wrong = `import { openPeer } from "pathweave";\n// @ts-expect-error a directory is a string\nawait openPeer({ directory: 1 });\n`;
  await writeFile(path.join(types, "example.ts"), example());
  await writeFile(path.join(types, "wrong.ts"), wrong);
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2024"];
  const files = ["types/example.ts", "types/wrong.ts"];
  for (const resolution of [
    ["--module", "nodenext"],
    ["--module", "esnext", "--moduleResolution", "bundler"],
  ])
    await run(bin("tsc"), [...options, ...resolution, ...files]);
});

test("the documented example makes a run and trains it; as a process of a local swarm its peer goes on", async () => {
  const content = tinyRun();
  const training = { ...content.training, rounds: 1, innerSteps: 10 };
  await writeFile(path.join(folder, "run.yaml"), stringify({ ...content, training }));
  await writeFile(path.join(folder, "example.ts"), example());
  const output = await run(process.execPath, ["example.ts"]);
  assert.match(output, /^pathweave1[a-z2-7]+$/m);
  for (const number of [0, 1, 2, 3]) assert.match(output, new RegExp(`^path ${number}: loss \\d`, "m"));

  // The demo starts its peers and their bootstrap like this.
  const dist = path.join(folder, "node_modules/pathweave/dist");
  const load = (file: string): Promise<unknown> => import(pathToFileURL(path.join(dist, file)).href);
  const { startLocalSwarm } = (await load("node/local-swarm.js")) as typeof localSwarm;
  const { decodeInvite } = (await load("src/index.js")) as typeof library;
  const invite = decodeInvite(/^pathweave1\S+/m.exec(output)![0]);
  const swarm = await startLocalSwarm({
    directory: folder,
    peers: 1,
    run: invite.run,
    logLevel: "warn",
    signal: patient,
  });
  try {
    await Promise.all(swarm.peers.map((peer) => peer.ready));
    await swarm.complete(patient);
  } finally {
    await swarm.stop();
  }
});

test("the demo starts from an empty folder and ends by Ctrl-C", async () => {
  const empty = path.join(folder, "empty");
  await mkdir(empty);
  const demo = spawn(path.join(folder, "node_modules/.bin/pathweave"), ["demo"], {
    cwd: empty,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const exit = once(demo, "exit");
  const started = Promise.withResolvers<void>();
  for (const stream of [demo.stdout, demo.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes("warm start")) started.resolve();
    });
  try {
    await Promise.race([
      started.promise,
      exit.then(([code]) => assert.fail(`the demo ended with ${code} before its warm start:\n${output}`)),
    ]);
    demo.kill("SIGINT");
    const [code] = (await exit) as [number | null];
    assert.equal(code, 130, output);
  } finally {
    demo.kill("SIGKILL");
  }
});
