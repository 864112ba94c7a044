/** Ctrl-C while a peer is still joining. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { type PeerFlags, runPeer } from "../../node/peer-session.ts";
import { InterruptedError } from "../../src/errors.ts";
import { RUN } from "../../src/sim/large/run.ts";
import { LOOPBACK, startPeer, temporaryDirectory } from "./net/support.ts";

test("a peer that is told to stop while whom it joins through hangs stops without complaint", async (t) => {
  const dir = await temporaryDirectory(t);
  const { network } = await startPeer(t);
  // Takes connections and says nothing, like a process that is stopped.
  const mute = net.createServer().listen(0, "127.0.0.1");
  t.after(() => mute.close());
  await once(mute, "listening");
  const { port } = mute.address() as net.AddressInfo;
  const stop = new AbortController();
  mute.on("connection", (socket) => {
    t.after(() => socket.destroy());
    stop.abort(new InterruptedError("SIGINT"));
  });
  const flags: PeerFlags = {
    data: join(dir, "peer"),
    listen: [LOOPBACK],
    announce: [],
    bootstrap: [],
    mdns: false,
    engine: "compiled",
    device: "cpu",
    threads: 1,
    archive: false,
    "max-connections": 200,
    "max-mbps": undefined,
    "max-disk": undefined,
    "log-level": "error",
    json: true,
  };
  const bootstrap = [`/ip4/127.0.0.1/tcp/${port}/p2p/${network.peerId}`];
  const shutdown = { signal: stop.signal, [Symbol.dispose]: () => {} };
  let told = 0;
  stop.signal.addEventListener("abort", () => (told = performance.now()));
  const began = performance.now();
  await assert.rejects(runPeer(flags, { run: RUN, bootstrap }, shutdown), {
    name: "InterruptedError",
    message: "Interrupted before joining; nothing is kept.",
  });
  // What it took to get there tells how busy the machine is; a deadline of the network would be ten seconds more.
  const [opening, stopping] = [told - began, performance.now() - told];
  assert.ok(stopping < 1000 + 2 * opening, `${stopping} ms to stop, after ${opening} ms to open`);
  assert.ok(!existsSync(flags.data));
});
