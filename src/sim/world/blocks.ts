/** Block exchange between peers of a simulated network: what bitswap is to the store. */
import type { CID } from "multiformats/cid";
import { matches } from "../../objects/object.ts";
import type { BlockSource } from "../../store/fetch-job.ts";
import type { Dht } from "./dht.ts";
import type { Links } from "./links.ts";
import type { Connection, Node } from "./node.ts";

/** A peer's blocks. */
export interface Blocks {
  /** Reads a block for another peer. */
  serve(cid: CID): Promise<Uint8Array | undefined>;
  put(cid: CID, bytes: Uint8Array): Promise<unknown>;
}

const WANT_BYTES = 200;
/** Other traffic gets in between. */
const PIECE_BYTES = 64 << 10;

/** Serves a peer's blocks, and gets those of others onto its disk. */
export class BlockExchange {
  readonly #node: Node;
  readonly #links: Links;
  readonly #dht: Dht;
  readonly #exchangeOf: (node: Node) => BlockExchange;
  #blocks: Blocks | undefined;

  constructor(node: Node, links: Links, dht: Dht, exchangeOf: (node: Node) => BlockExchange) {
    this.#node = node;
    this.#links = links;
    this.#dht = dht;
    this.#exchangeOf = exchangeOf;
  }

  source(blocks: Blocks): BlockSource {
    this.#blocks = blocks;
    const node = this.#node;
    return {
      connect: async (holder, signal) => void (await node.dial(holder, signal)),
      ask: (cid, holder, signal) => node.living(() => this.#ask(cid, holder, signal)),
      onLost: (holder, lost) =>
        node.onPeer((peer, event) => {
          if (peer === holder && event === "disconnect") lost();
        }),
      search: (cid, signal) => this.#search(cid, signal),
    };
  }

  async *#search(cid: CID, signal: AbortSignal): AsyncGenerator<string> {
    for await (const { peer } of this.#dht.findProviders(cid, signal)) yield peer;
  }

  async #ask(cid: CID, holder: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const connection = this.#node.connectionWith(holder);
    if (connection === undefined) throw new Error("it is not connected");
    const other = this.#node.other(connection);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
    this.#links.send(this.#node, other, {
      bytes: WANT_BYTES,
      sort: "exchange",
      wanted: () => other.connections.has(connection),
      arrive: () => {
        this.#exchangeOf(other).#give(cid, connection, signal, (bytes) => {
          if (bytes === undefined) reject(new Error("it does not have the block"));
          // What is another block was not asked for, so nobody waits for it.
          else if (matches(cid, bytes)) resolve(bytes);
        }).catch(() => {
          // It cannot read its disk; to the asker that is silence.
        });
      },
    });
    try {
      const bytes = await promise;
      await this.#blocks!.put(cid, bytes);
      return bytes.byteLength;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Sends a block in pieces, each when the one before has left, until nobody wants it any more; one that is lost is silence. */
  async #give(
    cid: CID,
    connection: Connection,
    wanted: AbortSignal,
    arrived: (bytes: Uint8Array | undefined) => void,
  ): Promise<void> {
    const node = this.#node;
    const other = node.other(connection);
    if (this.#blocks === undefined || node.refuses(other)) return;
    if (node.options.admission?.admits(other.peer, "a block exchange stream from") === false) return;
    const bytes = await this.#blocks.serve(cid);
    const size = bytes?.byteLength ?? 0;
    const missing = new Set<number>();
    for (let at = 0; at === 0 || at < size; at += PIECE_BYTES) missing.add(at);
    const send = (at: number): void => {
      if (wanted.aborted || node.dead || !node.connections.has(connection)) return;
      const end = this.#links.send(node, other, {
        bytes: Math.min(PIECE_BYTES, size - at) || WANT_BYTES,
        sort: "exchange",
        wanted: () => other.connections.has(connection) && !wanted.aborted,
        arrive: () => {
          if (missing.delete(at) && missing.size === 0) arrived(bytes);
        },
      });
      const next = at + PIECE_BYTES;
      if (next >= size) return;
      const wait = end - this.#links.now();
      if (wait <= 0) send(next);
      else node.after(wait, () => send(next));
    };
    send(0);
  }
}
