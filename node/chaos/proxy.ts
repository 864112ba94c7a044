/**
 * A TCP proxy between the processes of a local swarm. It knows who dials whom (see `outbound.ts`), so it can part
 * them into groups that cannot reach each other, and slow a process's links. It needs no rights over the network.
 */
import { EventEmitter, once } from "node:events";
import net from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { moduleUrl } from "../../src/installation.ts";
import { directly } from "../peer-process.ts";
import type { ChaosNetwork, Link, Partition } from "./network.ts";

const OUTBOUND = moduleUrl("./outbound.ts", import.meta.url).href;
const HEADER_BYTES = 256;
/** A process may be dialled a moment before it has said that it listens. */
const LISTEN_MS = 1_000;

export async function createChaosProxy(): Promise<ChaosNetwork> {
  const listeners = new Map<number, string>();
  const connections = new Set<{ from: string; to: string; abort: AbortController }>();
  const slowed = new Map<string, Link>();
  const changes = new EventEmitter<{ change: [] }>().setMaxListeners(0);
  const closing = new AbortController();
  let partition: Partition | undefined;

  const parted = (a: string, b: string): boolean =>
    partition !== undefined && partition.side.has(a) !== partition.side.has(b);
  const passable = async (from: string, to: string, signal: AbortSignal): Promise<void> => {
    while (parted(from, to)) await once(changes, "change", { signal });
  };

  async function* paced(
    source: AsyncIterable<Buffer>,
    from: string,
    to: string,
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      await passable(from, to, signal);
      for (const link of [slowed.get(from), slowed.get(to)])
        if (link !== undefined)
          await delay(link.latencyMs + (1000 * chunk.byteLength) / link.bytesPerSecond, undefined, {
            signal,
          });
      yield chunk;
    }
  }

  const dial = async (source: net.Socket, from: string, port: number): Promise<void> => {
    const deadline = AbortSignal.any([closing.signal, AbortSignal.timeout(LISTEN_MS)]);
    while (!listeners.has(port)) await once(changes, "change", { signal: deadline });
    const to = listeners.get(port)!;
    const connection = { from, to, abort: new AbortController() };
    const signal = AbortSignal.any([closing.signal, connection.abort.signal]);
    source.once("close", () => connection.abort.abort());
    connections.add(connection);
    try {
      await passable(from, to, signal);
      const target = net.connect({ host: "127.0.0.1", port, noDelay: true });
      const pass = (of: net.Socket, by: string, into: net.Socket, to: string): Promise<void> =>
        pipeline(of, (chunks: AsyncIterable<Buffer>) => paced(chunks, by, to, signal), into, { signal });
      await Promise.all([pass(source, from, target, to), pass(target, to, source, from)]);
    } finally {
      connections.delete(connection);
    }
  };

  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("close", () => sockets.delete(socket));
    void header(socket)
      .then(async (line) => {
        const [verb, name, port] = line.split(" ") as [string, string, string];
        if (verb === "dial") return dial(socket, name, Number(port));
        listeners.set(Number(port), name);
        changes.emit("change");
        await once(socket.resume(), "close");
        listeners.delete(Number(port));
      })
      // Either end of a connection may die at any time; the other is told by the end of its own.
      .catch(() => {})
      .finally(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;

  return {
    launch: (name) => ({
      ...directly(),
      command: [process.execPath, "--import", OUTBOUND],
      environment: { CHAOS_PROXY: String(port), CHAOS_NAME: name },
    }),
    async partition(next) {
      partition = next;
      if (next?.mode === "reset")
        for (const { from, to, abort } of connections) if (parted(from, to)) abort.abort();
      changes.emit("change");
    },
    async slow(name, link) {
      if (link === undefined) slowed.delete(name);
      else slowed.set(name, link);
    },
    async close() {
      closing.abort(new Error("the proxy closes"));
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The first line of a connection; what follows it stays in the socket. */
async function header(socket: net.Socket): Promise<string> {
  let line = Buffer.alloc(0);
  while (!line.includes(10)) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) line = Buffer.concat([line, chunk]);
    else await once(socket, "readable", { signal: AbortSignal.timeout(LISTEN_MS) });
    if (line.byteLength > HEADER_BYTES && !line.subarray(0, HEADER_BYTES).includes(10))
      throw new Error("no header");
  }
  const end = line.indexOf(10);
  if (end + 1 < line.byteLength) socket.unshift(line.subarray(end + 1));
  return line.toString("utf8", 0, end);
}
