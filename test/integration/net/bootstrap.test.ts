import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { TRUSTING } from "../../../src/net/blocking.ts";
import { systemClock } from "../../../src/clock.ts";
import { createRequests } from "../../../src/net/requests.ts";
import { silentLogger } from "../../../src/log.ts";
import { LOOPBACK, startPeer, temporaryDirectory, until } from "./support.ts";

const PROGRAM = new URL("../../../bootstrap/pathweave-bootstrap.ts", import.meta.url).pathname;

interface Event {
  event: string;
  addresses?: string[];
  peer?: string;
  peers?: number;
}

interface Running {
  process: ChildProcess;
  /** The next JSON line of standard output that is such an event. */
  next(event: string): Promise<Event>;
}

function run(t: TestContext, flags: string[], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [PROGRAM, "--json", ...flags], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const lines: Interface = createInterface({ input: child.stdout });
  const events: Event[] = [];
  const arrived = new EventTarget();
  lines.on("line", (line) => {
    events.push(JSON.parse(line) as Event);
    arrived.dispatchEvent(new Event("line"));
  });
  return {
    process: child,
    async next(name) {
      const find = (): number => events.findIndex(({ event }) => event === name);
      await until(arrived, "line", () => find() >= 0);
      return events.splice(find(), 1)[0]!;
    },
  };
}

test("the program introduces peers, relays between them and stops on SIGINT", async (t) => {
  const data = await temporaryDirectory(t);
  const program = run(t, ["--listen", LOOPBACK, "--data", data]);
  const { addresses } = await program.next("listening");
  assert.equal(addresses?.length, 1);
  assert.match(addresses[0]!, /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3\w+$/);

  // A peer that cannot be dialled listens through the relay only.
  const hidden = await startPeer(t, { listen: ["/p2p-circuit"], bootstrap: addresses });
  const connected = await program.next("connected");
  assert.deepEqual(connected, { event: "connected", peer: hidden.network.peerId, peers: 1 });
  await until(hidden.libp2p, "self:peer:update", () => hidden.network.addresses().length > 0);
  const relayed = hidden.network.addresses()[0]!;
  assert.ok(relayed.startsWith(`${addresses[0]!}/p2p-circuit`));

  const visitor = await startPeer(t, { listen: [], bootstrap: addresses });
  await visitor.network.dial(relayed);
  const requests = createRequests(hidden.libp2p, systemClock, silentLogger, TRUSTING);
  // More than the 128 KiB that a relay allows by default.
  await requests.handle("/pathweave/test/1", async () => new Uint8Array(1 << 20));
  const response = await visitor.network.request(
    hidden.network.peerId,
    "/pathweave/test/1",
    new Uint8Array(1),
  );
  assert.equal(response.byteLength, 1 << 20);

  const exit = once(program.process, "exit");
  program.process.kill("SIGINT");
  await program.next("stopped");
  assert.deepEqual(await exit, [0, null]);
});

test("identity and addresses come from the environment and stay over restarts", async (t) => {
  const data = await temporaryDirectory(t);
  const environment = {
    PATHWEAVE_BOOTSTRAP_LISTEN: `${LOOPBACK},${LOOPBACK}/ws`,
    PATHWEAVE_BOOTSTRAP_IDENTITY: join(data, "key"),
    PATHWEAVE_BOOTSTRAP_ANNOUNCE: "/dns4/boot.example.org/tcp/4001",
  };
  const peers = [];
  for (let start = 0; start < 2; start++) {
    const program = run(t, ["--data", join(data, "unused")], environment);
    const { addresses } = await program.next("listening");
    assert.equal(addresses?.length, 1, "announced addresses replace the others");
    assert.ok(addresses[0]!.startsWith("/dns4/boot.example.org/tcp/4001/p2p/"));
    peers.push(addresses[0]);
    const exit = once(program.process, "exit");
    program.process.kill("SIGTERM");
    assert.deepEqual(await exit, [0, null]);
  }
  assert.equal(peers[0], peers[1]);
});

test("mistakes end with one line that says what to do", async (t) => {
  const data = await temporaryDirectory(t);
  const busy = await startPeer(t);
  const listen = /^(.*tcp\/\d+)/.exec(busy.network.addresses()[0]!)![1]!;
  const cases: [string[], Record<string, string>, RegExp][] = [
    [
      ["--listn", LOOPBACK],
      {},
      /^pathweave-bootstrap: Unknown argument: listn; did you mean --listen \(see --help\)\.\n$/,
    ],
    [["--announce", "/ip4/203.0.113.7/tcp/0"], {}, /^pathweave-bootstrap: .*nobody can dial port 0.*\n$/],
    [["--listen", "nonsense"], {}, /^pathweave-bootstrap: "nonsense" is not an address to listen on .*\n$/],
    [
      [],
      { PATHWEAVE_BOOTSTRAP_LISEN: "x" },
      /^pathweave-bootstrap: .*did you mean PATHWEAVE_BOOTSTRAP_LISTEN\?\n$/,
    ],
    [["--data", data, "--listen", listen], {}, /^pathweave-bootstrap: Port \d+ is in use; .*\n$/],
  ];
  await Promise.all(
    cases.map(async ([flags, environment, expected]) => {
      const child = spawn(process.execPath, [PROGRAM, ...flags], { env: { ...process.env, ...environment } });
      const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
      assert.match(stderr, expected);
      assert.equal(code, 1);
    }),
  );
});

test("the program loads neither tfjs, ONNX Runtime nor Helia", async () => {
  const hook = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve(specifier, context, next) {
        const resolved = next(specifier, context);
        process.stderr.write(resolved.url + "\\n");
        return resolved;
      },
    });`;
  const child = spawn(process.execPath, [
    "--import",
    `data:text/javascript,${encodeURIComponent(hook)}`,
    PROGRAM,
    "--help",
  ]);
  child.stdout.resume();
  const [urls] = await Promise.all([text(child.stderr), once(child, "exit")]);
  assert.match(urls, /node_modules\/libp2p\//, "the hook sees what is loaded");
  for (const forbidden of ["tensorflow", "onnx", "helia", "blockstore", "/src/store/", "/src/engine/"])
    assert.ok(!urls.includes(forbidden), forbidden);
});
