/** Limits that a peer sets to others and to itself, over real sockets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NetworkError } from "../../../src/errors.ts";
import { startPeer, until } from "./support.ts";

const PROTOCOL = "/pathweave/test/1";

test("connections above the limit are refused, and a place that is given up is taken", async (t) => {
  const host = await startPeer(t, { maxConnections: 2 });
  const [address] = host.network.addresses();
  const guests = [await startPeer(t), await startPeer(t), await startPeer(t)];
  for (const guest of guests.slice(0, 2)) await guest.network.dial(address!);
  await until(host.libp2p, "peer:connect", () => host.network.connections().length === 2);
  await assert.rejects(guests[2]!.network.dial(address!), NetworkError);
  assert.equal(host.network.connections().length, 2);

  await guests[0]!.libp2p.stop();
  await until(host.libp2p, "peer:disconnect", () => host.network.connections().length === 1);
  await guests[2]!.network.dial(address!);
});

test("a peer that asks without end is answered at the rate that it is due, and nobody else waits", async (t) => {
  const host = await startPeer(t);
  const greedy = await startPeer(t);
  const modest = await startPeer(t);
  await host.network.handle(PROTOCOL, async (_from, request) => request);
  for (const peer of [greedy, modest]) await peer.network.dial(host.network.addresses()[0]!);
  const ask = ({ network }: typeof greedy) =>
    network.request(host.network.peerId, PROTOCOL, Uint8Array.of(1));

  const began = performance.now();
  for (let count = 0; count < 100; count++) await ask(greedy);
  let answered = 0;
  const rest = Promise.all(
    Array.from({ length: 12 }, async () => {
      await ask(greedy);
      answered++;
    }),
  );
  await ask(modest);
  await rest;
  assert.equal(answered, 12);
  // Not sooner than 100 at once and 20 a second allow; how much later is up to the machine.
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds >= 12 / 20 - 0.05, `${seconds} s`);
});

test("what is sent and received under a cap arrives whole, in both directions and through a key", async (t) => {
  const swarmKey = Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${"0a".repeat(32)}`);
  const limits = { bytesPerSecond: 4_000_000, swarmKey };
  const one = await startPeer(t, limits);
  const two = await startPeer(t, limits);
  await one.network.handle(PROTOCOL, async (_from, request) => request.toReversed());
  await two.network.dial(one.network.addresses()[0]!);
  const sent = Uint8Array.from({ length: 2 << 20 }, (_, index) => index % 251);
  const began = performance.now();
  const received = await two.network.request(one.network.peerId, PROTOCOL, sent);
  assert.ok(Buffer.from(sent.toReversed()).equals(received));
  // 2 MiB there and 2 MiB back, of which a quarter of a second's worth each is free.
  const least = (2 * (2 << 20)) / 4_000_000 - 2 * 0.25;
  assert.ok((performance.now() - began) / 1000 >= least);
});
