/** The DHT: who has a CID, and small signed records. */
import type { Libp2p } from "@libp2p/interface";
import type { KadDHT, QueryEvent, ValueEvent } from "@libp2p/kad-dht";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Clock, timeout } from "../clock.ts";
import { NetworkError } from "../errors.ts";
import { beforeAbort, reasonOf, withDeadline } from "./deadline.ts";
import { checkSize, namespaceOf } from "./records.ts";
import type { Network, RecordHandler } from "./types.ts";

const DHT_DEADLINE_MS = 30_000;

export type Routing = Pick<Network, "provide" | "findProviders" | "putRecord" | "getRecord" | "addressesOf">;

export function createRouting(
  libp2p: Libp2p<{ dht: KadDHT }>,
  records: Record<string, RecordHandler>,
  clock: Clock,
): Routing {
  const { dht } = libp2p.services;
  const handlerOf = (key: string): RecordHandler => {
    const handler = records[namespaceOf(key)];
    if (handler === undefined) throw new NetworkError(`No handler is configured for the record ${key}.`);
    return handler;
  };

  return {
    async addressesOf(peer) {
      const id = peerIdFromString(peer);
      if (!(await libp2p.peerStore.has(id))) return [];
      const { addresses } = await libp2p.peerStore.get(id);
      return addresses.map(
        ({ multiaddr }) => `${multiaddr.toString().replace(/\/p2p\/[^/]*$/, "")}/p2p/${peer}`,
      );
    },

    provide: (cid, signal) =>
      withDeadline(clock, `Announcing ${cid.toString()}`, DHT_DEADLINE_MS, signal, (either) =>
        stored(dht.provide(cid, { signal: either })),
      ),

    async *findProviders(cid, signal) {
      const late = timeout(clock, DHT_DEADLINE_MS);
      const either = signal === undefined ? late : AbortSignal.any([signal, late]);
      const seen = new Set<string>([libp2p.peerId.toString()]);
      try {
        for await (const event of beforeAbort(dht.findProviders(cid, { signal: either }), either)) {
          if (event.name !== "PROVIDER") continue;
          for (const { id, multiaddrs } of event.providers) {
            const peer = id.toString();
            if (seen.has(peer)) continue;
            seen.add(peer);
            // So that it can be dialled by its id.
            await libp2p.peerStore.merge(id, { multiaddrs });
            yield { peer, addresses: multiaddrs.map((address) => address.toString()) };
          }
        }
      } catch (error) {
        // The deadline ends the search; what was found was yielded.
        if (!either.aborted && !(error instanceof Error && error.name === "QueryError"))
          throw new NetworkError(`Looking for providers of ${cid.toString()} failed: ${reasonOf(error)}.`, {
            cause: error,
          });
      }
    },

    putRecord: (key, value, signal) =>
      withDeadline(clock, `Storing the record ${key}`, DHT_DEADLINE_MS, signal, async (either) => {
        const name = new TextEncoder().encode(key);
        // kad-dht checks only what others put here.
        checkSize(name, value);
        await handlerOf(key).validate(key, value);
        await stored(dht.put(name, value, { signal: either }));
      }),

    getRecord: (key, signal) =>
      withDeadline(clock, `Looking up the record ${key}`, DHT_DEADLINE_MS, signal, async (either) => {
        const handler = handlerOf(key);
        const values: Uint8Array[] = [];
        try {
          const events = dht.get(new TextEncoder().encode(key), {
            signal: either,
            onProgress: (event) => {
              if (event.type !== "kad-dht:query:value") return;
              const { detail }: CustomEvent<ValueEvent> = event;
              const { value } = detail;
              if (!values.some((known) => Buffer.compare(known, value) === 0)) values.push(value);
            },
          });
          for await (const event of events) void event;
        } catch (error) {
          // The query also fails when a server refuses to have an outdated record corrected, or no server
          // can be asked; the values it gathered are valid all the same.
          if (values.length === 0 && either.aborted) throw error;
        }
        return values.length === 0 ? undefined : values[handler.select(key, values)];
      }),
  };
}

/** Waits for a put or provide query; throws with the reasons when no other peer stored it. */
async function stored(events: AsyncIterable<QueryEvent>): Promise<void> {
  let stores = 0;
  const reasons = new Set<string>();
  for await (const event of events) {
    if (event.name === "PEER_RESPONSE" && STORE_MESSAGES.has(event.messageName)) stores++;
    if (event.name === "QUERY_ERROR") reasons.add(reasonOf(event.error));
  }
  if (stores === 0)
    throw new Error(
      `no other peer stored it (${[...reasons].slice(0, 3).join("; ") || "no DHT server is connected"})`,
    );
}
const STORE_MESSAGES = new Set(["ADD_PROVIDER", "PUT_VALUE"]);
