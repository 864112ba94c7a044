/** How providers, records and blocks are found. */
import assert from "node:assert/strict";
import { rawBlock } from "../../../../src/objects/object.ts";
import type { Member } from "../setup.ts";
import { bytes, textOf, pair, isConnected, numbers, type Scenario } from "./support.ts";

export function lookupScenarios(scenario: Scenario): void {
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
}
