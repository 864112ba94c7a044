/**
 * A real network for `scripts/chaos.ts --namespaces`: every process in a network namespace of its own, joined by
 * virtual cables. Cables are cut by moving them to another bridge, and slowed with `tc tbf`. Needs Linux, root, `ip` and `tc`.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ChaosNetwork } from "../../node/chaos/network.ts";

const run = promisify(execFile);
const ip = (...args: string[]): Promise<unknown> => run("ip", args);

/** The two bridges; all cables are in the first unless the network is parted. */
const BRIDGES = ["pw-one", "pw-two"] as const;
/** Of a queue before `tbf`: bytes that pass at once, at least one large packet. */
const BURST_BYTES = 65_536;
/** Longest time that a packet waits in it. */
const QUEUE = "400ms";

/** @param names all processes there will be; each gets an address in 10.77.0.0/24 */
export async function createNamespaces(names: readonly string[]): Promise<ChaosNetwork> {
  const namespace = (name: string): string => `pw-${name}`;
  // Interface names have at most 15 bytes.
  const cable = (name: string): string => `pwc${names.indexOf(name)}`;
  const address = (name: string): string => `10.77.0.${names.indexOf(name) + 1}`;
  const close = async (): Promise<void> => {
    const ends = [
      ...names.map((name) => ip("netns", "del", namespace(name))),
      ...names.map((name) => ip("link", "del", cable(name))),
      ...BRIDGES.map((bridge) => ip("link", "del", bridge)),
    ];
    // What an earlier run left or this one did not make yet is not there.
    await Promise.allSettled(ends);
  };
  await close();
  for (const bridge of BRIDGES) {
    await ip("link", "add", bridge, "type", "bridge");
    await ip("link", "set", bridge, "up");
  }
  for (const name of names) {
    const own = namespace(name);
    await ip("netns", "add", own);
    await ip("link", "add", cable(name), "type", "veth", "peer", "name", "eth0", "netns", own);
    await ip("link", "set", cable(name), "master", BRIDGES[0], "up");
    await ip("-n", own, "address", "add", `${address(name)}/24`, "dev", "eth0");
    await ip("-n", own, "link", "set", "eth0", "up");
    await ip("-n", own, "link", "set", "lo", "up");
  }
  return {
    launch: (name) => ({
      command: ["ip", "netns", "exec", namespace(name), process.execPath],
      environment: {},
      listen: `/ip4/${address(name)}/tcp/4001`,
    }),
    async partition(partition) {
      for (const name of names)
        await ip("link", "set", cable(name), "master", BRIDGES[partition?.side.has(name) === true ? 1 : 0]);
    },
    async slow(name, link) {
      const ends: [string[], string][] = [
        [[], cable(name)],
        [["-n", namespace(name)], "eth0"],
      ];
      for (const [where, device] of ends) {
        const qdisc = (...words: string[]): Promise<unknown> => run("tc", [...where, "qdisc", ...words]);
        if (link === undefined) await qdisc("del", "dev", device, "root");
        else {
          const [rate, burst] = [`${8 * link.bytesPerSecond}bit`, String(BURST_BYTES)];
          await qdisc(
            "replace",
            "dev",
            device,
            "root",
            "tbf",
            "rate",
            rate,
            "burst",
            burst,
            "latency",
            QUEUE,
          );
        }
      }
    },
    close,
  };
}
