/**
 * The DHT as one peer of a simulated network sees it. What is stored lies at the peers nearest the key of all that a
 * query gets to; the queries themselves are not taken apart into messages.
 */
import type { CID } from "multiformats/cid";
import { delay } from "../../clock.ts";
import { messageOf, NetworkError } from "../../errors.ts";
import { withDeadline } from "../../net/deadline.ts";
import { checkSize, namespaceOf } from "../../net/records.ts";
import type { RecordHandler } from "../../net/types.ts";
import { hash64 } from "../../random.ts";
import type { Links } from "./links.ts";
import type { Node } from "./node.ts";

const DEADLINE_MS = 30_000;
/** Peers that keep what is stored under a key: Kademlia's k. */
const KEEPERS = 20;
/** Round trips of a query: it goes nearer step by step. */
const STEPS = 2;
const FRAME_BYTES = 300;
const PROVIDER_MS = 48 * 3_600_000;

interface Provided {
  addresses: string[];
  since: number;
}

export class Dht {
  readonly #node: Node;
  readonly #links: Links;
  readonly #dhtOf: (node: Node) => Dht;
  readonly #records: Record<string, RecordHandler>;
  readonly #providers = new Map<string, Map<string, Provided>>();
  readonly #values = new Map<string, Uint8Array>();

  constructor(node: Node, links: Links, dhtOf: (node: Node) => Dht) {
    this.#node = node;
    this.#links = links;
    this.#dhtOf = dhtOf;
    this.#records = node.options.records ?? {};
  }

  provide(cid: CID, signal?: AbortSignal): Promise<void> {
    const { peer, address, listens } = this.#node;
    return this.#query(`Announcing ${cid.toString()}`, signal, (either) =>
      this.#store(cid.toString(), either, async (dht) =>
        dht.#addProvider(cid.toString(), peer, listens ? [address] : []),
      ),
    );
  }

  async *findProviders(
    cid: CID,
    signal?: AbortSignal,
  ): AsyncGenerator<{ peer: string; addresses: string[] }> {
    const found = new Map<string, string[]>();
    try {
      await this.#query(`Looking for providers of ${cid.toString()}`, signal, async (either) => {
        await this.#ask(cid.toString(), either, (dht) => {
          for (const [peer, { addresses, since }] of dht.#providers.get(cid.toString()) ?? [])
            if (peer !== this.#node.peer && dht.#node.clock.now() - since < PROVIDER_MS)
              found.set(peer, [...new Set([...(found.get(peer) ?? []), ...addresses])]);
        });
      });
    } catch (error) {
      // The deadline ends the search; what was found is what there is.
      if (!(error instanceof NetworkError)) throw error;
    }
    for (const [peer, addresses] of found) {
      if (signal?.aborted === true) return;
      this.#node.learn(peer, addresses);
      yield { peer, addresses };
    }
  }

  putRecord(key: string, value: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#query(`Storing the record ${key}`, signal, async (either) => {
      checkSize(new TextEncoder().encode(key), value);
      await this.#handler(key).validate(key, value);
      this.#values.set(key, value);
      await this.#store(key, either, async (dht) => {
        const handler = dht.#records[namespaceOf(key)];
        if (handler === undefined) throw new Error("no handler is configured there");
        await handler.validate(key, value);
        dht.#values.set(key, value);
      });
    });
  }

  getRecord(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#query(`Looking up the record ${key}`, signal, async (either) => {
      const handler = this.#handler(key);
      const found: Uint8Array[] = [];
      await this.#ask(key, either, (dht) => {
        const value = dht.#values.get(key);
        if (value !== undefined) found.push(value);
      });
      const valid: Uint8Array[] = [];
      for (const value of found) {
        try {
          await handler.validate(key, value);
          valid.push(value);
        } catch {
          // Somebody keeps what is false, or older.
        }
      }
      return valid.length === 0 ? undefined : valid[handler.select(key, valid)];
    });
  }

  #handler(key: string): RecordHandler {
    const handler = this.#records[namespaceOf(key)];
    if (handler === undefined) throw new NetworkError(`No handler is configured for the record ${key}.`);
    return handler;
  }

  #addProvider(key: string, peer: string, addresses: string[]): void {
    const providers = this.#providers.get(key) ?? new Map<string, Provided>();
    this.#providers.set(key, providers);
    providers.set(peer, { addresses, since: this.#node.clock.now() });
  }

  #query<T>(
    what: string,
    signal: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#node.living(() => withDeadline(this.#node.clock, what, DEADLINE_MS, signal, task));
  }

  /** Those of the peers that can be asked that keep a key. */
  #keepers(key: string): Node[] {
    const distance = new Map(this.#node.reachable().map((node) => [node, hash64(key, node.peer)]));
    return [...distance.keys()]
      .toSorted((a, b) => (distance.get(a)! < distance.get(b)! ? -1 : 1))
      .slice(0, KEEPERS);
  }

  /** The time of a query until its last step; who knows nobody yet waits for somebody. */
  async #steps(signal: AbortSignal): Promise<void> {
    const [node, links] = [this.#node, this.#links];
    if (node.connections.size === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => resolve(), { once: true });
      const stop = node.onPeer(() => resolve());
      await promise.finally(stop);
    }
    await delay(node.clock, 2 * STEPS * links.latency(node, node), signal);
  }

  /** Asks the keepers of a key, and this peer itself. */
  async #ask(key: string, signal: AbortSignal, read: (dht: Dht) => void): Promise<void> {
    read(this);
    await this.#steps(signal);
    await Promise.all(
      this.#keepers(key).map((keeper) => this.#roundTrip(keeper, signal, async (dht) => read(dht))),
    );
  }

  /** Has the keepers of a key keep it. Throws with their reasons when none does. */
  async #store(key: string, signal: AbortSignal, write: (dht: Dht) => Promise<void>): Promise<void> {
    await this.#steps(signal);
    const outcomes = await Promise.all(
      this.#keepers(key).map((keeper) => this.#roundTrip(keeper, signal, write)),
    );
    if (outcomes.some((outcome) => outcome === undefined)) return;
    const reasons = [...new Set(outcomes)].slice(0, 3).join("; ");
    throw new Error(`no other peer stored it (${reasons || "no DHT server is connected"})`);
  }

  /** Has a keeper do something; what speaks against it, in words. */
  #roundTrip(
    keeper: Node,
    signal: AbortSignal,
    task: (dht: Dht) => Promise<void>,
  ): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const frame = { bytes: FRAME_BYTES, sort: "exchange" as const, wanted: () => !signal.aborted };
    const answer = (outcome: string | undefined): void =>
      void this.#links.send(keeper, this.#node, { ...frame, arrive: () => resolve(outcome) });
    this.#links.send(this.#node, keeper, {
      ...frame,
      arrive: () =>
        void task(this.#dhtOf(keeper)).then(
          () => answer(undefined),
          (error: unknown) => answer(messageOf(error)),
        ),
    });
    const cancel = this.#node.after(QUERY_MS, () => resolve("it does not answer"));
    return promise.finally(cancel);
  }
}

/** How long one peer is waited for. */
const QUERY_MS = 10_000;
