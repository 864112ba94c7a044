/**
 * Loaded into a process before its own code (`node --import`). The process then makes every outgoing TCP connection
 * through the chaos proxy, tells the proxy who dials whom, and reports its listening ports to it. So the proxy can cut
 * or slow the links between processes without any rights over the machine's network.
 */
import net from "node:net";

const { CHAOS_PROXY: proxy, CHAOS_NAME: name } = process.env;
if (proxy !== undefined && name !== undefined) redirect(Number(proxy), name);

function redirect(proxyPort: number, self: string): void {
  const connect = net.connect;
  const toProxy = (line: string, options: object = {}): net.Socket => {
    const socket = connect({ ...options, host: "127.0.0.1", port: proxyPort });
    // Node keeps what is written before the connection stands, so this line is the first.
    socket.write(`${line}\n`);
    return socket;
  };
  const redirected = (options: net.TcpNetConnectOpts): net.Socket =>
    toProxy(`dial ${self} ${options.port}`, options);
  net.connect = redirected as typeof net.connect;

  const listen = net.Server.prototype.listen;
  net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]) {
    this.once("listening", () => {
      const address = this.address();
      // Kept open: its end tells the proxy that the process is gone.
      if (address !== null && typeof address === "object")
        toProxy(`listen ${self} ${address.port}`)
          .on("error", () => {})
          .unref();
    });
    return Reflect.apply(listen, this, args) as net.Server;
  } as typeof listen;
}
