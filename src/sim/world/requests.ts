/** Requests and responses of one peer of a simulated network: what `src/net/requests.ts` is over streams. */
import { delay } from "../../clock.ts";
import { withDeadline } from "../../net/deadline.ts";
import {
  answerIn,
  checkSize,
  createTurns,
  MAX_INBOUND_REQUESTS,
  REQUEST_DEADLINE_MS,
  respond,
} from "../../net/exchange.ts";
import type { RequestHandler } from "../../net/types.ts";
import type { Links } from "./links.ts";
import type { Connection, Node } from "./node.ts";

/** Negotiation of the protocol and framing. */
const FRAMING_BYTES = 120;

export class Requests {
  readonly #node: Node;
  readonly #links: Links;
  readonly #requestsOf: (node: Node) => Requests;
  readonly #handlers = new Map<string, RequestHandler>();
  readonly #turn = createTurns();
  /** Requests that are being answered, by connection and protocol. */
  readonly #open = new Map<Connection, Map<string, number>>();

  constructor(node: Node, links: Links, requestsOf: (node: Node) => Requests) {
    this.#node = node;
    this.#links = links;
    this.#requestsOf = requestsOf;
    node.onConnection((connection, event) => {
      if (event === "close") this.#open.delete(connection);
    });
  }

  handle(protocol: string, handler: RequestHandler): void {
    this.#handlers.set(protocol, handler);
  }

  request(peer: string, protocol: string, data: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const what = `Asking ${peer} for ${protocol}`;
    return this.#node.living(async () => {
      checkSize("request", protocol, data);
      const response = await withDeadline(
        this.#node.clock,
        what,
        REQUEST_DEADLINE_MS,
        signal,
        async (either) => {
          const connection = await this.#node.dial(peer, either);
          return this.#exchange(connection, protocol, data, either);
        },
      );
      return answerIn(response, what);
    });
  }

  /** Resolves to the response; rejects when there is none to come. */
  async #exchange(
    connection: Connection,
    protocol: string,
    data: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const node = this.#node;
    const other = node.other(connection);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const gone = new AbortController();
    signal.addEventListener("abort", () => gone.abort(), { once: true });
    const stop = node.onLost(connection, () => reject(new Error("the connection was closed")));
    this.#links.send(node, other, {
      bytes: FRAMING_BYTES + data.byteLength,
      sort: "exchange",
      wanted: () => other.connections.has(connection),
      arrive: () => {
        const answer = (bytes: number, settle: () => void): void =>
          void this.#links.send(other, node, {
            bytes: FRAMING_BYTES + bytes,
            sort: "exchange",
            wanted: () => node.connections.has(connection),
            arrive: settle,
          });
        this.#requestsOf(other).#answer(connection, protocol, data, gone.signal).then(
          (response) => answer(response.byteLength, () => resolve(response)),
          (error: unknown) => answer(0, () => reject(error)),
        );
      },
    });
    try {
      return await promise;
    } finally {
      stop();
    }
  }

  async #answer(
    connection: Connection,
    protocol: string,
    data: Uint8Array,
    gone: AbortSignal,
  ): Promise<Uint8Array> {
    const { peer: from } = this.#node.other(connection);
    const { log, clock, judge, options } = this.#node;
    if (judge.blocked(from) || options.admission?.admits(from, `a ${protocol} stream from`) === false)
      throw new Error("the stream has been reset");
    const handler = this.#handlers.get(protocol);
    if (handler === undefined) throw new Error(`protocol selection failed: ${protocol} is not spoken there`);
    const counts = this.#open.get(connection) ?? new Map<string, number>();
    this.#open.set(connection, counts);
    const open = counts.get(protocol) ?? 0;
    if (open >= MAX_INBOUND_REQUESTS) throw new Error("the stream has been reset");
    counts.set(protocol, open + 1);
    try {
      const wait = this.#turn(from, clock.now());
      if (wait > 0) await delay(clock, wait, gone);
      return await respond(() => handler(from, data), protocol, log);
    } finally {
      counts.set(protocol, counts.get(protocol)! - 1);
    }
  }
}
