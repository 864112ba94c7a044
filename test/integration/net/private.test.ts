/** Swarms with a pre-shared key, over real sockets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { NetworkError, UsageError } from "../../../src/errors.ts";
import { libp2pOptions } from "../../../src/net/options.ts";
import { createSwarmKey, readSwarmKey } from "../../../src/net/swarm-key.ts";
import { dagCborCid } from "../../../src/objects/object.ts";
import { encodeInvite } from "../../../src/run/invite.ts";
import { LOOPBACK, nodeConfig, startPeer, temporaryDirectory } from "./support.ts";

const swarmKey = createSwarmKey();

test("peers with the key meet and talk; one without it and one with another cannot connect, either way", async (t) => {
  const inside = await startPeer(t, { swarmKey });
  const [address] = inside.network.addresses();
  const friend = await startPeer(t, { swarmKey });
  await friend.network.dial(address!);
  await inside.network.handle("/pathweave/test/1", async (_from, request) => request.toReversed());
  const answer = await friend.network.request(
    inside.network.peerId,
    "/pathweave/test/1",
    Uint8Array.of(1, 2),
  );
  assert.deepEqual([...answer], [2, 1]);

  const connected: string[] = [];
  inside.network.onPeer((peer, event) => event === "connect" && connected.push(peer));
  for (const stranger of [await startPeer(t), await startPeer(t, { swarmKey: createSwarmKey() })]) {
    await assert.rejects(stranger.network.dial(address!), NetworkError);
    await assert.rejects(inside.network.dial(stranger.network.addresses()[0]!), NetworkError);
    assert.deepEqual(stranger.network.connections(), []);
  }
  assert.deepEqual(connected, []);
});

test("a malformed key is refused in one line that does not show it", async (t) => {
  const secret = "0123456789abcdef".repeat(4);
  const malformed = Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${secret}x`);
  const config = await nodeConfig({ swarmKey: malformed });
  const hidden = (error: unknown): boolean =>
    error instanceof UsageError && !String(error.stack).includes(secret) && error.cause === undefined;
  assert.throws(() => libp2pOptions(config), hidden);
  const file = join(await temporaryDirectory(t), "swarm.key");
  await writeFile(file, malformed);
  await assert.rejects(readSwarmKey(file), hidden);
});

test("the key is read from a swarm key file and from an invite", async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, "file");
  const run = dagCborCid(new Uint8Array(1));
  await writeFile(file, `${Buffer.from(swarmKey).toString()}\n`);
  assert.deepEqual(Buffer.from(await readSwarmKey(file)), Buffer.from(swarmKey));
  await writeFile(file, encodeInvite({ run, bootstrap: [], swarmKey }));
  assert.deepEqual(Buffer.from(await readSwarmKey(file)), Buffer.from(swarmKey));
  await writeFile(file, encodeInvite({ run, bootstrap: [] }));
  await assert.rejects(readSwarmKey(file), /is to an open swarm/);
  await assert.rejects(readSwarmKey(join(directory, "none")), /cannot be read/);
});

test("a bootstrap node serves a private swarm with the key from a file, and nobody else", async (t) => {
  const data = await temporaryDirectory(t);
  const file = join(data, "swarm.key");
  await writeFile(file, swarmKey);
  const program = new URL("../../../bootstrap/pathweave-bootstrap.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, "--data", data, "--listen", LOOPBACK, "--json"], {
    env: { ...process.env, PATHWEAVE_BOOTSTRAP_SWARM_KEY_FILE: file },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { addresses } = JSON.parse(line) as { addresses: string[] };
  const member = await startPeer(t, { swarmKey });
  await member.network.dial(addresses[0]!);
  const stranger = await startPeer(t);
  await assert.rejects(stranger.network.dial(addresses[0]!), NetworkError);
});

test("nothing that libp2p logs at its most detailed level shows the key", async () => {
  const script = `
    import { startPeer } from ${JSON.stringify(new URL("support.ts", import.meta.url).href)};
    const after = [];
    const t = { after: (task) => after.unshift(task) };
    const swarmKey = Buffer.from(process.env.KEY, "base64");
    const one = await startPeer(t, { swarmKey });
    const two = await startPeer(t, { swarmKey });
    await two.network.dial(one.network.addresses()[0]);
    const stranger = await startPeer(t);
    await stranger.network.dial(one.network.addresses()[0]).catch(() => {});
    for (const task of after) await task();
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    env: {
      ...process.env,
      KEY: Buffer.from(swarmKey).toString("base64"),
      DEBUG: "*,*:trace",
      DEBUG_COLORS: "0",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  assert.equal(code, 0, stderr.slice(-2000));
  const said = stdout + stderr;
  assert.match(said, /pnet.*exchanged nonces/, "pnet's own log is there");
  const hex = Buffer.from(swarmKey).toString().split("\n")[2]!;
  const raw = Buffer.from(hex, "hex");
  for (const form of [
    hex,
    hex.toUpperCase(),
    raw.toString("base64"),
    raw.toString("base64url"),
    raw.join(", "),
  ])
    assert.ok(!said.includes(form));
});
