/** How requests are answered, and how they fail. */
import assert from "node:assert/strict";
import { InvalidObjectError, NetworkError } from "../../../../src/errors.ts";
import { PROTOCOL, bytes, textOf, pair, type Scenario } from "./support.ts";

export function requestScenarios(scenario: Scenario): void {
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
}
