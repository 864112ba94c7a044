/** What is known of the networks of this machine. */
import { createSocket } from "node:dgram";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

export interface Machine {
  /** The name of the interface that has an IP address, such as `eth0`. */
  interfaceOf(ip: string): string | undefined;
  /** Whether one of the interfaces is in the network of an IP address. */
  sharesNetwork(ip: string): boolean;
}

/** Addresses come and go, but not between two comparisons of a sort. */
const FRESH_MS = 1_000;
let latest: { machine: Machine; at: number } | undefined;

/** As it is now, or was a second ago. */
export function thisMachine(): Machine {
  const now = performance.now();
  if (latest === undefined || now - latest.at > FRESH_MS) latest = { machine: lookAtMachine(), at: now };
  return latest.machine;
}

function lookAtMachine(): Machine {
  const names = new Map<string, string>();
  const networks = new BlockList();
  for (const [name, faces] of Object.entries(networkInterfaces()))
    for (const { address, cidr, family } of faces ?? []) {
      names.set(address, name);
      const prefix = Number(cidr?.split("/")[1]);
      if (Number.isInteger(prefix)) networks.addSubnet(address, prefix, family === "IPv6" ? "ipv6" : "ipv4");
    }
  return {
    interfaceOf: (ip) => names.get(ip),
    sharesNetwork: (ip) => isIP(ip) !== 0 && networks.check(ip, isIP(ip) === 6 ? "ipv6" : "ipv4"),
  };
}

/** Addresses kept for documentation: the route to them is the default route. */
const ELSEWHERE = [
  ["udp4", "192.0.2.1"],
  ["udp6", "2001:db8::1"],
] as const;
const DISCARD_PORT = 9;

/** The IP addresses from which this machine speaks to the world; none without a route there. Sends nothing. */
export async function defaultSources(): Promise<Set<string>> {
  const sources = await Promise.all(ELSEWHERE.map(([type, target]) => sourceTowards(type, target)));
  return new Set(sources.filter((source) => source !== undefined));
}

/** The address from which this machine speaks to a target. Connecting UDP only looks up the route. */
export function sourceTowards(type: "udp4" | "udp6", target: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(type);
    const finish = (address?: string): void => {
      resolve(address);
      socket.close();
    };
    // Of the socket itself; that of the route comes to the callback, which Node's types do not know.
    socket.once("error", () => finish());
    const connected = (error?: Error): void =>
      finish(error instanceof Error ? undefined : socket.address().address);
    socket.connect(DISCARD_PORT, target, connected);
  });
}
