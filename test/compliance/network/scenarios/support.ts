/** What several scenarios need. */
import { InvalidObjectError } from "../../../../src/errors.ts";
import type { GossipHandler, RecordHandler } from "../../../../src/net/types.ts";
import type { Member, World } from "../setup.ts";

/** Registers a scenario. */
export type Scenario = (what: string, run: (world: World) => Promise<void>) => void;

export const PROTOCOL = "/pathweave/test/1";
export const TOPIC = "pathweave/test";

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const textOf = (data: Uint8Array): string => Buffer.from(data).toString();

/** Accepts all, and tells what it heard. */
export function listener(heard: string[]): GossipHandler<Uint8Array> {
  return {
    validate: (_from, data) => data,
    deliver: (from, data) => void heard.push(`${from} ${textOf(data)}`),
  };
}

export async function pair(world: World): Promise<{ server: Member; client: Member }> {
  const server = await world.start();
  const client = await world.start();
  await client.network.dial(server.network.addresses()[0]!);
  return { server, client };
}

export function isConnected(one: Member, other: Member): boolean {
  return one.network.connections().some(({ peer }) => peer === other.network.peerId);
}

export function reaches({ audience }: Member, ...others: Member[]): () => boolean {
  return () => others.every(({ network }) => audience(TOPIC).includes(network.peerId));
}

/** A namespace whose value is a number in decimal; the greater one is newer. */
export function numbers(): RecordHandler {
  const newest = new Map<string, number>();
  return {
    async validate(key, value) {
      const number = Number(textOf(value));
      if (!Number.isInteger(number)) throw new InvalidObjectError("not a number");
      if (number < (newest.get(key) ?? 0)) throw new InvalidObjectError("rolls back");
      newest.set(key, number);
    },
    select: (_key, values) => {
      const all = values.map((value) => Number(textOf(value)));
      return all.indexOf(Math.max(...all));
    },
  };
}
