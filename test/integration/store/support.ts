/** Real stores on loopback, in this process and in others. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { type Logger, silentLogger } from "../../../src/log.ts";
import { createNetwork, createNode, type SwarmNetwork } from "../../../src/net/network.ts";
import { libp2pOptions, type Services } from "../../../src/net/options.ts";
import type { NodeConfig } from "../../../src/net/types.ts";
import { openNode, type StoreNode } from "../../../src/store/helia.ts";
import { nodeConfig } from "../net/support.ts";

export interface StorePeer extends StoreNode<Services> {
  network: SwarmNetwork;
}

/** A started peer with a store under `dir`. The caller stops it, or the end of the test does. */
export async function openPeer(
  t: Pick<TestContext, "after">,
  dir: string,
  changes: Partial<NodeConfig> = {},
  log: Logger = silentLogger,
): Promise<StorePeer> {
  const config = await nodeConfig(changes);
  const node = await openNode({
    dir,
    clock: systemClock,
    log,
    libp2p: (datastore) => createNode(libp2pOptions(config), datastore),
  });
  const network = createNetwork(node.libp2p, config, log);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= node.stop());
  t.after(stop);
  await node.start();
  return { ...node, stop, network };
}

/** Reproducible bytes that do not repeat. */
export function noise(seed: number, byteLength: number): Uint8Array {
  return createHash("shake256", { outputLength: byteLength }).update(String(seed)).digest();
}

export interface Holder {
  process: ChildProcess;
  peer: string;
  port: number;
  /** TensorPack of the holder's data. */
  cid: string;
}

/** A peer in its own process that holds a pack of `noise(seed, byteLength)`; killed at the end of the test. */
export async function spawnHolder(
  t: TestContext,
  dir: string,
  seed: number,
  byteLength: number,
): Promise<Holder> {
  const script = new URL("holder.ts", import.meta.url);
  const child = spawn(process.execPath, [script.pathname, dir, String(seed), String(byteLength)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line");
  const { peer, port, cid } = JSON.parse(String(line)) as { peer: string; port: number; cid: string };
  return { process: child, peer, port, cid };
}
