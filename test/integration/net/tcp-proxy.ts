/** A TCP proxy that counts what passes, to measure bytes on the wire and to act in the middle of a transfer. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface TcpProxy {
  readonly port: number;
  /** Bytes from the target to whoever dialled the proxy. */
  received(): number;
  /** Called after every piece from the target. */
  onReceive(listener: (total: number) => void): void;
}

export async function startTcpProxy(t: TestContext, targetPort: number): Promise<TcpProxy> {
  let received = 0;
  const listeners: ((total: number) => void)[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(targetPort, "127.0.0.1");
    target.on("data", (data) => {
      received += data.byteLength;
      for (const listener of listeners) listener(received);
    });
    client.pipe(target).pipe(client);
    for (const socket of [client, target]) {
      sockets.add(socket);
      // A killed process resets its sockets; the other end must see that too.
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        target.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    received: () => received,
    onReceive: (listener) => listeners.push(listener),
  };
}
