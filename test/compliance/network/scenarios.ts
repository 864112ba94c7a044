/** What every network must do for a swarm, in memory and over TCP. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidObjectError, NetworkError } from "../../../src/errors.ts";
import type { GossipHandler, PeerJudge, RecordHandler } from "../../../src/net/types.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import type { Member, Setup, World } from "./setup.ts";

const PROTOCOL = "/pathweave/test/1";
const TOPIC = "pathweave/test";

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const textOf = (data: Uint8Array): string => Buffer.from(data).toString();

/** Accepts all, and tells what it heard. */
function listener(heard: string[]): GossipHandler<Uint8Array> {
  return {
    validate: (_from, data) => data,
    deliver: (from, data) => void heard.push(`${from} ${textOf(data)}`),
  };
}

async function pair(world: World): Promise<{ server: Member; client: Member }> {
  const server = await world.start();
  const client = await world.start();
  await client.network.dial(server.network.addresses()[0]!);
  return { server, client };
}

function isConnected(one: Member, other: Member): boolean {
  return one.network.connections().some(({ peer }) => peer === other.network.peerId);
}

function reaches({ audience }: Member, ...others: Member[]): () => boolean {
  return () => others.every(({ network }) => audience(TOPIC).includes(network.peerId));
}

/** A namespace whose value is a number in decimal; the greater one is newer. */
function numbers(): RecordHandler {
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

/** Registers the scenarios under the name of a network. */
export function complies(name: string, setup: Setup): void {
  const scenario = (what: string, run: (world: World) => Promise<void>): void =>
    void test(`${name}: ${what}`, (t) => run(setup(t)));

  scenario("both ends are told of a connection and of its end", async (world) => {
    const server = await world.start();
    const client = await world.start();
    const seen: string[] = [];
    for (const [who, { network }] of Object.entries({ server, client }))
      network.onPeer((peer, event) => {
        const other = who === "server" ? client : server;
        if (peer === other.network.peerId) seen.push(`${who} ${event}`);
      });
    await client.network.dial(server.network.addresses()[0]!);
    await world.until(() => isConnected(server, client));
    assert.equal(client.network.connections()[0]!.direction, "outbound");
    assert.equal(server.network.connections()[0]!.direction, "inbound");
    client.network.disconnect(server.network.peerId);
    await world.until(() => seen.length === 4);
    assert.deepEqual(seen.toSorted(), [
      "client connect",
      "client disconnect",
      "server connect",
      "server disconnect",
    ]);
  });

  scenario(
    "a peer is dialled by its id once its address is known; nobody is, with a reason",
    async (world) => {
      const { server, client } = await pair(world);
      assert.notDeepEqual(await client.network.addressesOf(server.network.peerId), []);
      await client.network.dial(server.network.peerId);
      const [address] = server.network.addresses();
      await server.stop();
      await world.until(() => !isConnected(client, server));
      await assert.rejects(client.network.dial(address!), {
        name: "NetworkError",
        message: `Dialling ${address} failed: connection refused.`,
      });
    },
  );

  scenario("a message is judged before it is passed on, and delivered once", async (world) => {
    const middle = await world.start();
    const sender = await world.start({ listens: false });
    const receiver = await world.start({ listens: false });
    const judged: string[] = [];
    const heard: string[] = [];
    sender.network.subscribe(TOPIC, listener([]));
    receiver.network.subscribe(TOPIC, listener(heard));
    const rejected: string[] = [];
    middle.network.subscribe(TOPIC, {
      validate(_from, data) {
        judged.push(textOf(data));
        if (textOf(data) === "malformed") throw new InvalidObjectError("malformed");
        return textOf(data) === "bad" ? "reject" : textOf(data) === "dull" ? "ignore" : data;
      },
      deliver() {},
      rejected: (_from, data, reason) => rejected.push(`${textOf(data)}: ${reason}`),
    });
    for (const { network } of [sender, receiver]) await network.dial(middle.network.addresses()[0]!);
    await world.until(reaches(sender, middle));
    await world.until(reaches(middle, sender, receiver));
    for (const text of ["dull", "bad", "malformed", "good"])
      assert.deepEqual(await sender.network.publish(TOPIC, bytes(text)), [middle.network.peerId]);
    await world.until(() => heard.length > 0);
    await middle.network.publish(TOPIC, bytes("last"));
    await world.until(() => heard.length > 1);
    assert.deepEqual(judged.toSorted(), ["bad", "dull", "good", "malformed"]);
    assert.deepEqual(rejected.toSorted(), ["bad: It is not valid.", "malformed: malformed"]);
    assert.deepEqual(heard, [`${sender.network.peerId} good`, `${middle.network.peerId} last`]);
    // −20 × (rejected messages)²; what was ignored costs nothing.
    await world.until(() => middle.score(sender.network.peerId) < -70);
    assert.equal(receiver.score(middle.network.peerId), 0);
  });

  scenario("a message reaches nobody before a stream to a listener is open", async (world) => {
    const { server, client } = await pair(world);
    assert.deepEqual(await client.network.publish(TOPIC, bytes("early")), []);
    const heard: string[] = [];
    server.network.subscribe(TOPIC, listener(heard));
    await world.until(reaches(client, server));
    assert.deepEqual(client.network.subscribers(TOPIC), [server.network.peerId]);
    assert.deepEqual(await client.network.publish(TOPIC, bytes("late")), [server.network.peerId]);
    await world.until(() => heard.length > 0);
    assert.deepEqual(heard, [`${client.network.peerId} late`]);
    server.network.unsubscribe(TOPIC);
    await world.until(() => client.network.subscribers(TOPIC).length === 0);
  });

  scenario("gossip over the size cap is refused here, and rejected there", async (world) => {
    const { server, client } = await pair(world);
    const rejected: string[] = [];
    server.network.subscribe(TOPIC, {
      ...listener([]),
      rejected: (from, data, reason) => rejected.push(`${from} ${data.byteLength} ${reason}`),
    });
    await world.until(reaches(client, server));
    await assert.rejects(client.network.publish(TOPIC, new Uint8Array((256 << 10) + 1)), {
      name: "NetworkError",
      message: /262145 bytes is over the gossip limit of 262144/,
    });
    await client.say(TOPIC, new Uint8Array(300_000));
    await world.until(() => rejected.length > 0);
    assert.deepEqual(rejected, [`${client.network.peerId} 300000 It has 300000 bytes.`]);
  });

  scenario("requests are answered, refused and failed, each with its reason", async (world) => {
    const { server, client } = await pair(world);
    const ask = (data: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> =>
      client.network.request(server.network.peerId, PROTOCOL, data, signal);
    await assert.rejects(ask(bytes("?")), { name: "NetworkError", message: /protocol/i });
    const asked: string[] = [];
    await server.network.handle(PROTOCOL, async (from, request) => {
      asked.push(from);
      switch (textOf(request.subarray(0, 8))) {
        case "":
          throw new InvalidObjectError("The request\u001b[31m is empty.");
        case "bug":
          throw new Error("secret");
        case "more":
          return new Uint8Array((4 << 20) + 1);
        case "wait":
          return new Promise(() => {});
        default:
          return Buffer.from(request).toReversed();
      }
    });
    assert.equal(textOf(await ask(bytes("123456789"))), "987654321");
    assert.deepEqual(asked, [client.network.peerId]);
    await assert.rejects(ask(new Uint8Array(0)), {
      message: /it refused, saying "The request \[31m is empty\."/,
    });
    await assert.rejects(ask(bytes("bug")), (error) => {
      assert.ok(error instanceof NetworkError);
      assert.match(error.message, /internal error/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await assert.rejects(ask(new Uint8Array((4 << 20) + 1)), {
      name: "NetworkError",
      message: /A request of 4194305 bytes is over the limit of 4194304/,
    });
    await assert.rejects(ask(bytes("more")), {
      name: "NetworkError",
      message: /it refused, saying "A response of 4194305 bytes is over the limit/,
    });
    await assert.rejects(ask(bytes("wait"), world.timeout(200)), {
      name: "NetworkError",
      message: /^Asking 12D3\w+ for \/pathweave\/test\/1 took longer than it was given\.$/,
    });
    const controller = new AbortController();
    const before = asked.length;
    const givenUp = assert.rejects(ask(bytes("wait"), controller.signal), { message: /was given up\.$/ });
    await world.until(() => asked.length > before);
    controller.abort();
    await givenUp;
  });

  scenario("a peer that ends in the middle of a request is reported at once", async (world) => {
    const { server, client } = await pair(world);
    const asked = Promise.withResolvers<void>();
    await server.network.handle(PROTOCOL, () => {
      asked.resolve();
      return new Promise(() => {});
    });
    const rejected = assert.rejects(client.network.request(server.network.peerId, PROTOCOL, bytes("?")), {
      name: "NetworkError",
    });
    await asked.promise;
    await server.stop();
    await rejected;
  });

  scenario("providers of a CID are found through a peer that both know", async (world) => {
    const hub = await world.start();
    const bootstrap = hub.network.addresses();
    const a = await world.start({ bootstrap });
    const b = await world.start({ bootstrap });
    await world.until(() => isConnected(a, hub) && isConnected(b, hub));
    const { cid } = rawBlock(bytes("a run"));
    await a.network.provide(cid);
    const providers: string[] = [];
    for await (const { peer } of b.network.findProviders(cid)) providers.push(peer);
    assert.deepEqual(providers, [a.network.peerId]);
    await b.network.dial(a.network.peerId);
    assert.ok(isConnected(b, a));
  });

  scenario(
    "what a lonely peer announces waits for somebody to keep it, no longer than it may",
    async (world) => {
      const lonely = await world.start();
      const { cid } = rawBlock(bytes("a run"));
      await assert.rejects(lonely.network.provide(cid, world.timeout(200)), {
        name: "NetworkError",
        message: /^Announcing baf\w+ took longer than it was given\.$/,
      });
      const announced = lonely.network.provide(cid);
      const other = await world.start();
      await other.network.dial(lonely.network.addresses()[0]!);
      await announced;
      const providers: string[] = [];
      for await (const { peer } of other.network.findProviders(cid)) providers.push(peer);
      assert.deepEqual(providers, [lonely.network.peerId]);
    },
  );

  scenario("records are validated here and there, and the best one is read", async (world) => {
    const hub = await world.start({ records: { pathweave: numbers() } });
    const bootstrap = hub.network.addresses();
    const join = (): Promise<Member> => world.start({ bootstrap, records: { pathweave: numbers() } });
    const [a, b] = [await join(), await join()];
    const key = "/pathweave/run/module";
    await world.until(() => isConnected(a, hub) && isConnected(b, hub));
    assert.equal(await b.network.getRecord(key), undefined);
    await a.network.putRecord(key, bytes("5"));
    assert.equal(textOf((await b.network.getRecord(key))!), "5");
    const c = await join();
    await world.until(() => isConnected(c, hub));
    await assert.rejects(c.network.putRecord(key, bytes("3")), {
      name: "NetworkError",
      message: /no other peer stored/,
    });
    assert.equal(textOf((await c.network.getRecord(key))!), "5");
    await assert.rejects(a.network.putRecord(key, bytes("4")), {
      name: "InvalidObjectError",
      message: /rolls back/,
    });
    await assert.rejects(a.network.putRecord("/other/key", bytes("1")), { name: "NetworkError" });
    await assert.rejects(a.network.putRecord(key, new Uint8Array(17 << 10)), { name: "InvalidObjectError" });
  });

  scenario("a block is fetched from who has it; who lacks it is named", async (world) => {
    const { server, client } = await pair(world);
    const block = rawBlock(new Uint8Array(200_000).fill(7));
    const holders = [server.network.peerId];
    await assert.rejects(client.store.get(block.cid, { holders }), {
      name: "UnavailableError",
      message: new RegExp(`${server.network.peerId}: it does not have them`),
    });
    await server.store.put([block]);
    assert.ok(Buffer.from(await client.store.get(block.cid, { holders })).equals(block.bytes));
    assert.ok(await client.store.has(block.cid));
    assert.equal(client.store.transferred.bytesIn, 200_000);
    assert.equal(server.store.transferred.bytesOut, 200_000);
  });

  scenario("a blocked peer is put out, kept out and not answered; a block ends", async (world) => {
    const { server, client } = await pair(world);
    const blocked = new Set<string>();
    const judge: PeerJudge = { blocked: (peer) => blocked.has(peer), penalty: () => 0 };
    server.network.judgeBy(judge);
    let asked = 0;
    await server.network.handle(PROTOCOL, async () => {
      asked++;
      return new Uint8Array(1);
    });
    const ask = (): Promise<Uint8Array> =>
      client.network.request(server.network.peerId, PROTOCOL, new Uint8Array(1));
    await ask();
    blocked.add(client.network.peerId);
    server.network.disconnect(client.network.peerId);
    await world.until(() => !isConnected(client, server) && !isConnected(server, client));
    await assert.rejects(ask(), { name: "NetworkError" });
    assert.equal(asked, 1);
    await world.until(() => !isConnected(client, server));
    blocked.clear();
    await client.network.dial(server.network.addresses()[0]!);
    await ask();
    assert.equal(asked, 2);
  });

  scenario("what a blocked author says is dropped, and who passed it on is not punished", async (world) => {
    const relay = await world.start();
    const author = await world.start({ listens: false });
    const receiver = await world.start({ listens: false });
    receiver.network.judgeBy({ blocked: (peer) => peer === author.network.peerId, penalty: () => 0 });
    const heard: string[] = [];
    const relayed: string[] = [];
    author.network.subscribe(TOPIC, listener([]));
    relay.network.subscribe(TOPIC, listener(relayed));
    receiver.network.subscribe(TOPIC, listener(heard));
    for (const { network } of [author, receiver]) await network.dial(relay.network.addresses()[0]!);
    await world.until(reaches(relay, author, receiver));
    await world.until(reaches(author, relay));
    await author.network.publish(TOPIC, bytes("blocked"));
    await world.until(() => relayed.length > 0);
    await relay.network.publish(TOPIC, bytes("not blocked"));
    await world.until(() => heard.length > 0);
    assert.deepEqual(heard, [`${relay.network.peerId} not blocked`]);
    assert.equal(receiver.score(relay.network.peerId), 0);
  });

  scenario(
    "a penalty lowers the score of a peer's gossip, and rejected messages lower it further",
    async (world) => {
      const { server, client } = await pair(world);
      let penalty = 0;
      server.network.judgeBy({ blocked: () => false, penalty: () => penalty });
      const heard: string[] = [];
      const rejected: string[] = [];
      server.network.subscribe(TOPIC, {
        ...listener(heard),
        rejected: (_from, _data, reason) => rejected.push(reason),
      });
      await world.until(reaches(client, server));
      penalty = 30;
      await world.until(() => server.score(client.network.peerId) === -30);
      await client.network.publish(TOPIC, bytes("heard"));
      await world.until(() => heard.length > 0);
      await client.say(TOPIC, new Uint8Array(300_000));
      await world.until(() => server.score(client.network.peerId) < -45);
      assert.deepEqual(rejected, ["It has 300000 bytes."]);
    },
  );
}
