/** What blocking a peer does. */
import assert from "node:assert/strict";
import type { PeerJudge } from "../../../../src/net/types.ts";
import { PROTOCOL, TOPIC, bytes, listener, pair, isConnected, reaches, type Scenario } from "./support.ts";

export function blockingScenarios(scenario: Scenario): void {
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
