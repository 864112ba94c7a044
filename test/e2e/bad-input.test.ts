/** What a person sees when something is wrong: one clear line and a non-zero exit, and nothing is lost. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { stringify } from "yaml";
import { silentLogger } from "../../src/log.ts";
import { Manifest } from "../../src/objects/manifest.ts";
import { PROTOCOL } from "../../src/objects/protocol.ts";
import { rawBlock } from "../../src/objects/object.ts";
import { openDirectory } from "../../src/peer/directory.ts";
import { encodeInvite } from "../../src/run/invite.ts";
import { parseRunFile } from "../../src/run/run-file.ts";
import { createTinyRun, PATHWEAVE, PROJECT, tinyRun } from "./tiny-run.ts";

const BOOTSTRAP = path.join(PROJECT, "bootstrap/pathweave-bootstrap.ts");
let directory: string;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pathweave-bad-input-"));
});
after(() => rm(directory, { recursive: true, force: true }));

interface Outcome {
  code: number;
  /** Lines on standard error that are not progress. */
  error: string;
  /** All of it. */
  stderr: string;
}

/** Runs `pathweave` to its end. */
function pathweave(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PATHWEAVE, ...args], { timeout: 540_000 }, (failure, _stdout, stderr) => {
      const lines = stderr.split("\n").filter((line) => line.startsWith("pathweave:"));
      resolve({ code: failure === null ? 0 : Number(failure.code), error: lines.join("\n"), stderr });
    });
  });
}

function assertOneLine({ code, error }: Outcome, ...patterns: RegExp[]): void {
  assert.notEqual(code, 0);
  assert.equal(error.split("\n").length, 1, error);
  for (const pattern of patterns) assert.match(error, pattern);
  assert.doesNotMatch(error, /this is a bug/);
}

const at = (name: string): string => path.join(directory, name);

test("a corpus path that does not exist is named, and no folder is left behind", async () => {
  const file = at("no-corpus.yaml");
  await writeFile(file, stringify({ ...tinyRun(), corpus: ["./no-such-folder"] }));
  assertOneLine(await pathweave("create", file, "--data", at("no-corpus")), /no-such-folder/);
  assert.ok(!(await readdir(directory)).includes("no-corpus"));
});

test("the demo overwrites nothing in a folder that it is given", async () => {
  const data = at("precious");
  await mkdir(data);
  await writeFile(path.join(data, "run.yaml"), "mine");
  assertOneLine(await pathweave("demo", "--data", data), /precious is not empty.*new or empty\.$/);
  assert.equal(await readFile(path.join(data, "run.yaml"), "utf8"), "mine");
  assertOneLine(
    await pathweave("demo", "--data", path.join(data, "run.yaml")),
    /there is a file of that name/,
  );
});

test("a YAML typo is named with its line and the nearest valid key", async () => {
  const file = at("typo.yaml");
  const { training, ...rest } = tinyRun();
  await writeFile(file, stringify({ ...rest, trainng: training }));
  assertOneLine(await pathweave("create", file, "--data", at("typo")), /trainng/, /training/, /:\d+/);
});

test("an audit uses the invite of --invite-file, and nothing beside it", async () => {
  const file = at("some.invite");
  await writeFile(file, "hello");
  assertOneLine(await pathweave("audit", "--invite-file", file), /some\.invite: Not an invite/);
  assertOneLine(await pathweave("audit", at("peer-1"), "--invite-file", file), /Give an invite alone/);
});

test("a truncated invite is told from a valid one", async () => {
  const { cid } = Manifest.encode(await hugeManifest());
  const invite = encodeInvite({ run: cid, bootstrap: [] });
  assertOneLine(
    await pathweave("join", invite.slice(0, -7), "--data", at("truncated")),
    /truncated or mistyped/,
  );
  assertOneLine(await pathweave("join", "hello", "--data", at("wrong")), /Not an invite/);
});

test("a folder that is a file is refused in words", async () => {
  const file = at("a-file");
  await writeFile(file, "not a folder");
  const { cid } = Manifest.encode(await hugeManifest());
  const invite = encodeInvite({ run: cid, bootstrap: [] });
  assertOneLine(await pathweave("join", invite, "--data", path.join(file, "data"), "--no-mdns"), /a-file/);
});

test("when no bootstrap is reachable, each address is named with the reason", async () => {
  const { cid } = Manifest.encode(await hugeManifest());
  const address = `/ip4/127.0.0.1/tcp/${await freePort()}`;
  const invite = encodeInvite({ run: cid, bootstrap: [address] });
  const outcome = await pathweave("join", invite, "--data", at("alone"), "--no-mdns", "--log-level", "error");
  assertOneLine(outcome, /No bootstrap is reachable:$/);
  const [line, step] = outcome.stderr.split("\n").slice(-3);
  assert.equal(line, `  ${address}  connection refused`);
  assert.match(step!, /^Nobody listens there\. Check that the peer of the invite runs/);
});

test("a bootstrap that knows nobody of the run is told from one that is down", async () => {
  const bootstrap = spawn(
    process.execPath,
    [BOOTSTRAP, "--listen", "/ip4/127.0.0.1/tcp/0", "--data", at("bootstrap"), "--json"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const [line] = (await once(createInterface({ input: bootstrap.stdout }), "line")) as [string];
    const { addresses } = JSON.parse(line) as { addresses: string[] };
    const { cid } = Manifest.encode(await hugeManifest());
    const invite = encodeInvite({ run: cid, bootstrap: addresses });
    const outcome = await pathweave(
      "join",
      invite,
      "--data",
      at("stranger"),
      "--no-mdns",
      "--log-level",
      "error",
    );
    assertOneLine(outcome, /none of them has the run/, new RegExp(cid.toString()));
  } finally {
    bootstrap.kill("SIGINT");
    await once(bootstrap, "exit");
  }
});

test("a run that is too large for this machine is refused with the numbers before anything is fetched", async () => {
  const logger = silentLogger;
  const net = { listen: ["/ip4/127.0.0.1/tcp/0"], announce: [], bootstrap: [], mdns: false };
  const owner = await openDirectory(at("owner"), net, logger);
  try {
    const block = Manifest.encode(await hugeManifest());
    await owner.store.put([block]);
    const invite = encodeInvite({ run: block.cid, bootstrap: owner.network.addresses() });
    const outcome = await pathweave(
      "join",
      invite,
      "--data",
      at("small-machine"),
      "--no-mdns",
      "--log-level",
      "error",
    );
    assertOneLine(outcome, /of memory/, /[TPG]iB/);
  } finally {
    await owner.stop();
  }
});

test("a port in use and a second peer on one folder are refused, and the run in it is kept", async () => {
  const data = at("run");
  const run = await createTinyRun(directory, data);
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  try {
    const busy = await pathweave(
      "join",
      "--data",
      data,
      "--listen",
      `/ip4/127.0.0.1/tcp/${port}`,
      "--no-mdns",
    );
    assertOneLine(busy, new RegExp(`Port ${port} is in use`));
  } finally {
    server.close();
  }

  const args = ["join", "--data", data, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--json"];
  const first = spawn(process.execPath, [PATHWEAVE, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(createInterface({ input: first.stdout }), "line")) as [string];
    assert.equal((JSON.parse(line) as { run: string }).run, run.toString());
    assertOneLine(await pathweave(...args), new RegExp(path.basename(data)));
    const other = encodeInvite({ run: Manifest.encode(await hugeManifest()).cid, bootstrap: [] });
    assertOneLine(await pathweave("join", other, "--data", data), /another run/);
  } finally {
    first.kill("SIGINT");
    const [code] = await once(first, "exit");
    assert.equal(code, 0, "Ctrl-C ends in order");
  }
  for (const command of ["status", "eval"]) {
    const { code, stderr } = await pathweave(command, "--data", data, "--no-mdns");
    assert.equal(code, 1);
    assert.ok(stderr.endsWith(` does not run, start it: npm run pathweave -- join --data ${data}\n`), stderr);
  }
});

/** A well-formed manifest of a run that no machine can train. */
async function hugeManifest(): Promise<Manifest> {
  const text = stringify({
    ...tinyRun(),
    model: { vocabulary: 512, sequenceLength: 4096, width: 65_536, blocks: 512, heads: 512 },
    routing: { prefixTokens: 32 },
  });
  const { config } = parseRunFile(text, at("huge.yaml"));
  const { cid } = rawBlock(new TextEncoder().encode("nothing"));
  const reference = { shard: cid, documents: 1, tokens: 10_000 };
  const modules = ["embedding/0", "lower/0", "lower/1", "upper/0", "upper/1", "head/0", "router"];
  return {
    protocol: PROTOCOL,
    creator: "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
    config,
    genesis: modules.map((module) => ({ module, version: cid })),
    tokenizer: cid,
    shards: Array.from({ length: 4 }, () => reference),
    holdouts: Array.from({ length: 4 }, () => reference),
    validation: reference,
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
