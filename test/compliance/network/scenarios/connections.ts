/** How connections come and go. */
import assert from "node:assert/strict";
import { pair, isConnected, type Scenario } from "./support.ts";

export function connectionScenarios(scenario: Scenario): void {
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
}
