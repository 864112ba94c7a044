/**
 * A network on which two peers cannot dial each other, and a bootstrap node that both can: three network namespaces
 * where the system lets us make them (Linux, root), else loopback with peers that listen on nothing.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const ip = (...args: string[]): Promise<unknown> => run("ip", args);

export interface Apart {
  kind: "namespaces" | "loopback";
  /** What comes before a program and its arguments to run it there. */
  command(name: "bootstrap" | "one" | "two"): string[];
  /** Flags of the peers; none in namespaces, since the defaults are to do. */
  peerFlags: string[];
  /** Where the bootstrap node listens; empty for its default. */
  listen: string;
  /** How an address of the first peer starts that others could reach, if anybody could; it has many that are useless. */
  routable: string | undefined;
  /** Which of the addresses that it prints the peers are given. */
  isGiven(address: string): boolean;
  close(): Promise<void>;
}

const LOOPBACK: Omit<Apart, "close"> = {
  kind: "loopback",
  command: () => [],
  peerFlags: ["--listen", "/p2p-circuit"],
  listen: "/ip4/127.0.0.1/tcp/0",
  routable: undefined,
  isGiven: () => true,
};
/** Of the bootstrap node; nothing leaves the namespaces, so it may be anybody's. */
const PUBLIC = "45.67.89.10";

/** Networks on the first peer's machine that lead nowhere, as those of containers and of tunnels. */
const BRIDGES = 11;

/** An interface that is up, with an address in a network of its own. */
async function addBridge(namespace: string, index: number): Promise<void> {
  const [name, port] = [index % 2 === 0 ? `docker${index}` : `tun${index}`, `port${index}`];
  await ip("-n", namespace, "link", "add", name, "type", "veth", "peer", "name", port);
  await ip("-n", namespace, "address", "add", `172.${17 + index}.0.1/16`, "dev", name);
  for (const end of [name, port]) await ip("-n", namespace, "link", "set", end, "up");
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
};

/** Deletes what processes that are no more have left, of names as `createApart` gives. */
async function deleteLeftovers(prefix: string): Promise<void> {
  const { stdout } = await run("ip", ["netns", "list"]);
  for (const [name, pid] of stdout.matchAll(new RegExp(String.raw`^${prefix}(\d+)-\w+`, "gm")))
    // Another process that cleans up, too, may be faster.
    if (!isRunning(Number(pid))) await ip("netns", "del", name).catch(() => {});
}

/**
 * @param kind what the namespaces' names begin with, at most 6 letters; then comes the id of this process, so that tests
 *   can run beside each other, and beside those of another checkout
 */
export async function createApart(kind: string): Promise<Apart> {
  const prefix = `${kind}${process.pid}`;
  const namespace = (name: string): string => `${prefix}-${name}`;
  const names = ["bootstrap", "one", "two"] as const;
  const close = async (): Promise<void> => {
    await Promise.allSettled(names.map((name) => ip("netns", "del", namespace(name))));
  };
  if (process.getuid?.() !== 0) return { ...LOOPBACK, close: async () => {} };
  try {
    await deleteLeftovers(kind);
    for (const name of names) {
      await ip("netns", "add", namespace(name));
      await ip("-n", namespace(name), "link", "set", "lo", "up");
    }
    await ip("-n", namespace("bootstrap"), "address", "add", `${PUBLIC}/32`, "dev", "lo");
    for (const [index, name] of (["one", "two"] as const).entries()) {
      const [inside, gate] = [namespace(name), namespace("bootstrap")];
      // The bootstrap node's machine is the way out of both networks, and forwards nothing.
      const cable = `${prefix}${index}`;
      await ip("-n", gate, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", inside);
      await ip("-n", gate, "address", "add", `10.80.${index}.1/24`, "dev", cable);
      await ip("-n", gate, "link", "set", cable, "up");
      await ip("-n", inside, "address", "add", `10.80.${index}.2/24`, "dev", "eth0");
      await ip("-n", inside, "link", "set", "eth0", "up");
      await ip("-n", inside, "route", "add", "default", "via", `10.80.${index}.1`);
    }
    for (let bridge = 0; bridge < BRIDGES; bridge++) await addBridge(namespace("one"), bridge);
  } catch {
    // A container may be root without the right to make namespaces.
    await close();
    return { ...LOOPBACK, close: async () => {} };
  }
  return {
    kind: "namespaces",
    command: (name) => ["ip", "netns", "exec", namespace(name)],
    peerFlags: [],
    listen: "/ip4/0.0.0.0/tcp/4001",
    routable: "/ip4/10.80.0.2/tcp/",
    isGiven: (address) => address.includes(PUBLIC),
    close,
  };
}
