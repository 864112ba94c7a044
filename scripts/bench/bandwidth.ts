/**
 * Whether the cap on bandwidth holds: one process fetches blocks from another, over TCP on loopback, once with the
 * cap on the side that receives and once on the side that sends. Exits with 1 when the rate is over 10 % off.
 *
 *     node scripts/bench/bandwidth.ts [--mbps 50] [--mib 64] [--json]
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { CID } from "multiformats/cid";
import { systemClock } from "../../src/clock.ts";
import { createNetwork, createNode, type SwarmNetwork } from "../../src/net/network.ts";
import { libp2pOptions } from "../../src/net/options.ts";
import { openNode } from "../../src/store/helia.ts";
import { writeChunks } from "../../src/store/pack.ts";
import type { Store } from "../../src/store/types.ts";

const TOLERANCE = 0.1;

const { values: options } = parseArgs({
  options: {
    mbps: { type: "string", default: "50" },
    mib: { type: "string", default: "64" },
    json: { type: "boolean", default: false },
    /** Set for the process that holds the blocks: its cap, or `none`. */
    hold: { type: "string" },
  },
});
const mbps = Number(options.mbps);
const byteLength = Number(options.mib) * 2 ** 20;

interface Holder {
  peer: string;
  address: string;
  cids: string[];
}

/** Gives `use` a peer in a temporary folder. */
async function withPeer<T>(
  cap: number | undefined,
  use: (peer: { store: Store; network: SwarmNetwork }) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "pathweave-bandwidth-"));
  try {
    const config = {
      privateKey: await generateKeyPair("Ed25519"),
      clock: systemClock,
      listen: ["/ip4/127.0.0.1/tcp/0"],
      announce: [],
      bootstrap: [],
      mdns: false,
      records: {},
      ...(cap === undefined ? {} : { bytesPerSecond: (cap * 1e6) / 8 }),
    };
    const node = await openNode({
      dir,
      clock: systemClock,
      libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
    });
    const network = createNetwork(node.libp2p, config);
    await node.start();
    try {
      return await use({ store: node.store, network });
    } finally {
      await node.stop();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Holds the blocks until standard input ends. */
async function hold(cap: number | undefined): Promise<void> {
  await withPeer(cap, async ({ store, network }) => {
    const cids = await writeChunks(store, randomBytes(byteLength));
    const holder: Holder = {
      peer: network.peerId,
      address: network.addresses()[0]!,
      cids: cids.map(String),
    };
    process.stdout.write(`${JSON.stringify(holder)}\n`);
    await once(process.stdin.resume(), "close");
  });
}

/** Mbit/s of blocks that arrived, over the whole transfer. */
async function measure(receiving: number | undefined, sending: number | undefined): Promise<number> {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(import.meta.url),
      "--mib",
      options.mib,
      "--hold",
      sending === undefined ? "none" : String(sending),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    const { peer, address, cids } = JSON.parse(line) as Holder;
    return await withPeer(receiving, async ({ store, network }) => {
      await network.dial(address);
      const began = performance.now();
      await store.fetch(
        cids.map((cid) => CID.parse(cid)),
        { holders: [peer] },
      );
      return (byteLength * 8) / 1000 / (performance.now() - began);
    });
  } finally {
    child.stdin.end();
    await once(child, "exit");
  }
}

async function main(): Promise<void> {
  const uncapped = await measure(undefined, undefined);
  const receiving = await measure(mbps, undefined);
  const sending = await measure(undefined, mbps);
  const holds = [receiving, sending].every((rate) => Math.abs(rate / mbps - 1) <= TOLERANCE);
  if (options.json)
    process.stdout.write(`${JSON.stringify({ mbps, uncapped, receiving, sending, holds })}\n`);
  else {
    const show = (what: string, rate: number): void =>
      console.log(`${what.padEnd(24)} ${rate.toFixed(2).padStart(8)} Mbit/s`);
    show("without a cap", uncapped);
    show("cap on the receiver", receiving);
    show("cap on the sender", sending);
    console.log(`the cap of ${mbps} Mbit/s ${holds ? "holds" : "does not hold"} within 10 %`);
  }
  if (!holds) process.exitCode = 1;
}

if (options.hold === undefined) await main();
else await hold(options.hold === "none" ? undefined : Number(options.hold));
