/** How messages spread, and who judges them. */
import assert from "node:assert/strict";
import { InvalidObjectError } from "../../../../src/errors.ts";
import { TOPIC, bytes, textOf, listener, pair, reaches, type Scenario } from "./support.ts";

export function gossipScenarios(scenario: Scenario): void {
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
}
